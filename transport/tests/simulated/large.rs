//! Large messages while connections break: each whole or not at all, in order, and what is missing is accounted for.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring_transport::link::events::{DownReason, LinkEvent};
use mainspring_transport::testkit::{SimulatedLinks, StreamFault};

use crate::SECOND;

#[message(bulk)]
struct Picture {
    number: u64,
    pixels: Vec<u8>,
}

#[message]
struct SendOne {
    number: u64,
    bytes: u64,
}

struct Sender {
    to: ActorRef<Picture>,
}

impl Actor for Sender {
    type Message = SendOne;

    fn receive(&mut self, ctx: &mut Context<Self>, order: &Archived<SendOne>) -> Next<Self> {
        let (number, bytes) = (order.number.to_native(), order.bytes.to_native());
        ctx.tell(self.to, &Picture { number, pixels: pixels(number, bytes) });
        Next::Same
    }
}

type Album = Rc<RefCell<Vec<u64>>>;

struct Viewer(Album);

impl Actor for Viewer {
    type Message = Picture;

    fn receive(&mut self, _: &mut Context<Self>, picture: &Archived<Picture>) -> Next<Self> {
        let number = picture.number.to_native();
        let whole = pixels(number, picture.pixels.len() as u64);
        assert!(picture.pixels.as_slice() == whole.as_slice(), "picture {number} is damaged");
        self.0.borrow_mut().push(number);
        Next::Same
    }
}

/// What a picture with this number shows; it begins with its length.
fn pixels(number: u64, bytes: u64) -> Vec<u8> {
    let mut pixels: Vec<u8> = (0..bytes).map(|at| (at ^ number) as u8).collect();
    pixels[..8].copy_from_slice(&bytes.to_le_bytes());
    pixels
}

/// Sends pictures from one node to the other, and breaks connections; how many were sent and how many came.
fn play(seed: u64, from: usize, breaks: bool) -> (usize, usize) {
    let to = 1 - from;
    let sim = Simulation::seeded(seed).nodes(2).cores(2);
    let mut sim = SimulatedLinks::with(sim, |_, transport| transport.bulk_budget_bytes(2 << 20));
    let mut random = fastrand::Rng::with_seed(seed);
    let album = Album::default();
    let viewer = Rc::clone(&album);
    let viewer = sim.at(to).core(1).spawn(move || Viewer(Rc::clone(&viewer)));
    let sender = sim.at(from).core(1).spawn(move || Sender { to: viewer });
    sim.assert_linked_within(SECOND);
    let sent = 60;
    for number in 1..=sent {
        let bytes = random.u64(8..400_000);
        sim.tell(sender, &SendOne { number: number as u64, bytes });
        if breaks && random.u8(0..4) == 0 {
            let streams = sim.network().between(0, 1);
            if let Some(stream) = random.choice(streams) {
                let hears = |random: &mut fastrand::Rng| {
                    random.bool().then(|| Duration::from_millis(random.u64(0..300)))
                };
                let heard_after = [hears(&mut random), hears(&mut random)];
                sim.network().afflict(stream, StreamFault::Break { heard_after });
            }
        }
        sim.run_for(Duration::from_millis(random.u64(0..200)));
    }
    sim.run_for(60 * SECOND);
    sim.assert_linked_within(SECOND);
    let album = album.borrow();
    assert!(album.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: {album:?}");
    for node in 0..2 {
        let is_broken = |event: &&LinkEvent| {
            matches!(event, LinkEvent::Down { reason: DownReason::ProtocolBroken, .. })
        };
        let broken = sim.events(node).iter().find(is_broken);
        assert!(
            broken.is_none(),
            "seed {seed}: node {node} was told what no node says: {broken:?}"
        );
    }
    let maybe_lost: u64 = sim
        .events(from)
        .iter()
        .map(|event| match event {
            LinkEvent::Down { maybe_lost, .. } => maybe_lost.frames,
            _ => 0,
        })
        .sum();
    let mut dead_letters = 0;
    for core in 0..2 {
        let counters = sim.at(from).core(core).counters();
        dead_letters +=
            Reason::ALL.iter().map(|reason| counters.dead_letters.of(*reason)).sum::<u64>();
    }
    let missing = (sent - album.len()) as u64;
    assert!(missing <= maybe_lost + dead_letters, "seed {seed}: {missing} are missing");
    (sent, album.len())
}

#[test]
fn large_messages_all_arrive_where_no_connection_breaks() {
    for seed in 1..=6 {
        let (sent, came) = play(seed, seed as usize % 2, false);
        assert_eq!(sent, came);
    }
}

#[test]
fn large_messages_arrive_whole_and_in_order_or_are_said_to_be_lost() {
    let (mut sent, mut came) = (0, 0);
    for seed in 1..=30 {
        let (more, arrived) = play(seed, seed as usize % 2, true);
        sent += more;
        came += arrived;
    }
    println!("{came} of {sent} arrived");
    assert!(came < sent && came > sent / 2, "{came} of {sent}");
}
