//! The actors in a simulation: whatever the order of cores, and however often a ring is full, the totals are those of a
//! plain fold.

use super::compare::first_difference;
use super::directory::{Directory, DirectoryMessage, Handled, Roster};
use super::fold::{Fold, Ledger};
use super::ingest::{Ingest, IngestMessage, Progress};
use super::latency::Recorded;
use super::pace::Pace;
use super::reader::Text;
use super::reader_tests::{Scratch, gzip, text};
use super::record::COLUMNS;
use super::route::Route;
use super::shadow::ShadowMessage;
use super::totals::Totals;
use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use std::time::Duration;

const ROWS_A_BLOCK: usize = 7;

/// A simulation with a directory and an ingestion actor on every core.
struct Airline {
    sim: Simulation,
    directories: Vec<ActorRef<DirectoryMessage>>,
    ingests: Vec<ActorRef<IngestMessage>>,
}

impl Airline {
    fn new(sim: Simulation, cores: u16, text: &Text, passes: u32, pace: Option<Pace>) -> Airline {
        let mut sim = sim.cores(cores);
        let directories: Vec<_> =
            (0..cores).map(|core| sim.at(0).core(core).spawn(Directory::new)).collect();
        let ingest = |core: u16| {
            let (text, directories) = (text.clone(), directories.clone());
            let (index, count) = (usize::from(core), usize::from(cores));
            sim.at(0).core(core).spawn(move || {
                let route = Route::new(text.clone(), ROWS_A_BLOCK, index, count, passes);
                Ingest::new(route, pace, directories.clone())
            })
        };
        let ingests: Vec<_> = (0..cores).map(ingest).collect();
        for ingest in &ingests {
            sim.tell(*ingest, &IngestMessage::Continue);
        }
        Airline { sim, directories, ingests }
    }

    fn progress(&mut self) -> Vec<Progress> {
        let probe = self.sim.probe::<Progress>();
        let ask = |ingest: &ActorRef<IngestMessage>| {
            self.sim.tell(*ingest, &IngestMessage::Progress { reply_to: probe.actor() });
            probe.next()
        };
        self.ingests.iter().map(ask).collect()
    }

    fn ledger(&mut self) -> Ledger {
        let (rosters, totals) = (self.sim.probe::<Roster>(), self.sim.probe::<Totals>());
        let mut ledger = Ledger::new();
        for directory in &self.directories {
            self.sim.tell(*directory, &DirectoryMessage::List { reply_to: rosters.actor() });
            for (party, shadow) in rosters.next().shadows {
                self.sim.tell(shadow, &ShadowMessage::Report { reply_to: totals.actor() });
                assert!(ledger.insert(party, totals.next()).is_none(), "{party} has two shadows");
            }
        }
        ledger
    }

    fn handled(&mut self) -> u64 {
        let (counts, latencies) = (self.sim.probe::<Handled>(), self.sim.probe::<Recorded>());
        let mut handled = 0;
        for directory in &self.directories {
            self.sim.tell(*directory, &DirectoryMessage::Handled { reply_to: counts.actor() });
            self.sim.tell(*directory, &DirectoryMessage::Latencies { reply_to: latencies.actor() });
            let messages = counts.next().messages;
            assert_eq!(latencies.next().messages, messages);
            handled += messages;
        }
        handled
    }
}

/// A file, its text and its fold.
fn data(name: &str, content: &str) -> (Scratch, Text, Fold) {
    let file = Scratch::new(name, &gzip(content));
    let whole = Text::read(&file.path()).unwrap();
    let fold = Fold::of_file(&file.path()).unwrap_or_default();
    (file, whole, fold)
}

/// Flights that share aircraft, airports and carriers.
fn schedule(rows: usize) -> String {
    let row = |i: usize| {
        let outcome = ["2,-11,227", "NA,NA,NA", "40,NA,NA", "-3,55,90"][i * 7 % 4];
        let (tail, minute) = (i % 11, i % 60);
        let airports = ["EWR,IAH", "JFK,MIA", "LGA,ORD", "EWR,LGA"][i % 4];
        format!("2013-01-01T10:{minute:02}Z,C{},{airports},{i},N{tail},{outcome}\n", i % 3)
    };
    format!("{}\n{}", COLUMNS.join(","), (0..rows).map(row).collect::<String>())
}

#[test]
fn totals_equal_the_fold_on_any_number_of_cores() {
    let (_file, text, fold) = data("sim-totals", &schedule(200));
    for cores in [1, 2, 5] {
        Simulation::for_seeds(1..=5, |sim| {
            let mut airline = Airline::new(sim, cores, &text, 3, None);
            airline.sim.run_for(Duration::from_secs(1));
            let progress = airline.progress();
            assert!(progress.iter().all(|one| one.finished && one.failure.is_none()));
            assert_eq!(progress.iter().map(|one| one.flights).sum::<u64>(), 600);
            assert_eq!(progress.iter().map(|one| one.messages).sum::<u64>(), 3 * fold.messages);
            assert_eq!(airline.handled(), 3 * fold.messages);
            assert_eq!(first_difference(&airline.ledger(), &fold.after(3)), None);
        });
    }
}

#[test]
fn a_full_ring_delays_flights_and_loses_none() {
    let (_file, text, fold) = data("sim-full", &schedule(300));
    Simulation::for_seeds(1..=5, |sim| {
        let mut airline = Airline::new(sim, 2, &text, 1, None);
        airline.sim.at(0).core(0).fill_ring_to(1, true);
        airline.sim.run_for(Duration::from_millis(50));
        let stuck = airline.progress();
        assert!(!stuck[0].finished, "the ring was full and all was sent: {stuck:?}");
        airline.sim.at(0).core(0).fill_ring_to(1, false);
        airline.sim.run_for(Duration::from_secs(1));
        assert!(airline.progress().iter().all(|one| one.finished));
        assert_eq!(first_difference(&airline.ledger(), &fold.after(1)), None);
    });
}

#[test]
fn rings_of_the_smallest_size_lose_no_flight() {
    let (_file, text, fold) = data("sim-small", &schedule(400));
    Simulation::for_seeds(1..=20, |sim| {
        let sim = sim.limits(|limits| limits.ring_bytes = 1 << 12);
        let mut airline = Airline::new(sim, 3, &text, 2, None);
        airline.sim.run_for(Duration::from_secs(1));
        assert_eq!(airline.handled(), 2 * fold.messages);
        assert_eq!(first_difference(&airline.ledger(), &fold.after(2)), None);
    });
}

#[test]
fn a_paced_run_sends_each_flight_when_it_is_due() {
    // One flight a minute, a minute a second.
    let (_file, text, fold) = data("sim-pace", &text(60));
    let (first, last) = fold.period.unwrap();
    let pace = Pace { times: 60.0, first, last };
    let mut airline = Airline::new(Simulation::seeded(1), 2, &text, 2, Some(pace));
    for (seconds, expected) in [(0, 1), (1, 2), (9, 11), (49, 60), (1, 61), (58, 119), (1, 120)] {
        airline.sim.run_for(Duration::from_secs(seconds) + Duration::from_millis(1));
        let sent: u64 = airline.progress().iter().map(|one| one.flights).sum();
        assert_eq!(sent, expected, "at {:?}", airline.sim.now());
    }
    assert_eq!(first_difference(&airline.ledger(), &fold.after(2)), None);
}

#[test]
fn a_malformed_row_ends_its_ingestion_with_the_line() {
    let (_file, text, _) = data("sim-bad", &format!("{}bad row\n", schedule(20)));
    let mut airline = Airline::new(Simulation::seeded(1), 1, &text, 1, None);
    airline.sim.run_for(Duration::from_secs(1));
    let progress = airline.progress().remove(0);
    assert!(progress.finished);
    assert_eq!(progress.flights, 20);
    assert!(progress.failure.unwrap().contains(":22: 1 fields where 9 are expected"));
}
