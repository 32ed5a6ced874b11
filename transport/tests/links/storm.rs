//! Storms: nodes that talk while connections break, halves of them stay open, the network stands still, nodes stand
//! still and restart. Every seed is one history, the same every time.
//!
//! `SEED=n cargo test -p mainspring-transport --test links one_storm -- --nocapture` shows one.

use std::collections::{BTreeMap, VecDeque};

use mainspring_transport::link::chunks::ChunkSettings;
use mainspring_transport::link::control_lane::ControlSettings;
use mainspring_transport::link::dialing::DialSettings;
use mainspring_transport::link::identity::Incarnation;
use mainspring_transport::link::liveness::LivenessSettings;
use mainspring_transport::link::slow_peer::SlowPeerSettings;

use crate::budgets::OutboxSettings;
use crate::ledger::{Broken, Ledger};
use crate::link::{LinkSettings, MESSAGE_LIMIT_BYTES};
use crate::network::{Network, Notice, Side};
use crate::node::{Command, Flaw, Node, NodeSettings, node_id};

const MILLISECOND_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000 * MILLISECOND_NS;
/// How long messages are sent and faults happen.
const STORM_NS: u64 = 4 * SECOND_NS;
/// When it is looked at for the first time whether everything has settled; no fault happens after the storm. It is
/// looked at again every second: how long it takes follows from the windows and from how slow the network is.
const CALM_NS: u64 = 7 * SECOND_NS;
/// When everything must have settled.
const END_NS: u64 = 60 * SECOND_NS;
/// Steps of one history: more is a circle.
const STEPS_LIMIT: u32 = 1_000_000;
/// Lines that a replay shows before the end.
const SHOWN: usize = 400;

/// What will happen at some time.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Notice(Notice),
    Tell {
        from: usize,
        to: usize,
        count: u32,
        is_bulk: bool,
    },
    Control {
        from: usize,
        to: usize,
        count: u32,
    },
    /// Some connection breaks; who is told of it.
    Cut(&'static [Side]),
    /// Nothing passes between two places for a time.
    Block {
        one: usize,
        other: usize,
        for_ns: u64,
    },
    Pause {
        place: usize,
        for_ns: u64,
    },
    Death {
        place: usize,
    },
    Start {
        place: usize,
    },
    /// Has everything settled?
    Look,
}

/// One history.
pub struct Storm {
    random: fastrand::Rng,
    settings: NodeSettings,
    network: Network,
    pub ledger: Ledger,
    cores: Vec<u16>,
    nodes: Vec<Option<Node>>,
    /// When each wants to be called.
    wakes_ns: Vec<Option<u64>>,
    paused_until_ns: Vec<u64>,
    lives: u32,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    now_ns: u64,
    trace: Option<VecDeque<String>>,
}

impl Storm {
    pub fn new(seed: u64, places: usize) -> Storm {
        Storm::with_flaw(seed, places, None)
    }

    /// One in which every driver makes the same mistake.
    pub fn with_flaw(seed: u64, places: usize, flaw: Option<Flaw>) -> Storm {
        let mut random = fastrand::Rng::with_seed(seed);
        let slowness_ns =
            *random.choice(&[100_000, MILLISECOND_NS, 20 * MILLISECOND_NS]).expect("some");
        let settings = NodeSettings { flaw, ..settings(&mut random) };
        let mut storm = Storm {
            settings,
            network: Network::new(random.u64(..), slowness_ns),
            ledger: Ledger::default(),
            cores: (0..places).map(|_| random.u16(1..=3)).collect(),
            nodes: (0..places).map(|_| None).collect(),
            wakes_ns: vec![None; places],
            paused_until_ns: vec![0; places],
            lives: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            now_ns: 0,
            trace: None,
            random,
        };
        storm.plan(places);
        storm
    }

    /// The same, keeping the last lines of what happens.
    pub fn traced(seed: u64, places: usize) -> Storm {
        Storm { trace: Some(VecDeque::new()), ..Storm::new(seed, places) }
    }

    pub fn trace(&self) -> impl Iterator<Item = &String> {
        self.trace.iter().flatten()
    }

    /// Until the end, with every invariant checked after every step.
    pub fn run(&mut self) -> Result<(), Broken> {
        for _ in 0..STEPS_LIMIT {
            let wake = self.next_wake();
            let next_ns = self.queue.first_key_value().map(|((at_ns, _), _)| *at_ns);
            let at_ns = wake.map_or(u64::MAX, |(at_ns, _)| at_ns).min(next_ns.unwrap_or(u64::MAX));
            self.now_ns = at_ns.max(self.now_ns);
            match wake {
                Some((wake_ns, place)) if wake_ns == at_ns => {
                    let now_ns = self.now_ns;
                    self.with_node(place, |node| node.tick(now_ns))?;
                }
                _ => {
                    let (_, happening) = self.queue.pop_first().expect("the time is its own");
                    if matches!(happening, Happening::Look) && self.has_settled()? {
                        return Ok(());
                    }
                    self.happen(happening)?;
                }
            }
        }
        Err(Broken(format!("more than {STEPS_LIMIT} steps")))
    }

    /// Whether everything is quiet, before it has to be.
    fn has_settled(&mut self) -> Result<bool, Broken> {
        match self.finish() {
            Err(broken) if self.now_ns >= END_NS => Err(broken),
            Err(_) => {
                self.queue_at(self.now_ns + SECOND_NS, Happening::Look);
                Ok(false)
            }
            Ok(()) => Ok(true),
        }
    }

    fn plan(&mut self, places: usize) {
        self.queue_at(CALM_NS, Happening::Look);
        for place in 0..places {
            let at_ns = self.random.u64(0..100 * MILLISECOND_NS);
            self.queue_at(at_ns, Happening::Start { place });
        }
        for _ in 0..self.random.u32(20..=60) * (places as u32 - 1) {
            let (from, to) = self.any_pair(places);
            let at_ns = self.random.u64(0..STORM_NS);
            let count = self.random.u32(1..=30);
            let happening = match self.random.u8(0..5) {
                0 => Happening::Tell { from, to, count: count.min(4), is_bulk: true },
                1 | 2 => Happening::Control { from, to, count },
                _ => Happening::Tell { from, to, count, is_bulk: false },
            };
            self.queue_at(at_ns, happening);
        }
        for _ in 0..self.random.usize(0..=4 * places) {
            let at_ns = self.random.u64(0..STORM_NS);
            let happening = self.any_fault(places);
            self.queue_at(at_ns, happening);
        }
    }

    fn any_fault(&mut self, places: usize) -> Happening {
        let (one, other) = self.any_pair(places);
        let for_ns = self.random.u64(0..2 * SECOND_NS);
        match self.random.u8(0..10) {
            0..=2 => Happening::Cut(&[Side::Initiator, Side::Responder]),
            3 => Happening::Cut(&[Side::Initiator]),
            4 => Happening::Cut(&[Side::Responder]),
            5 => Happening::Cut(&[]),
            6 => Happening::Block { one, other, for_ns },
            7 | 8 => Happening::Pause { place: one, for_ns },
            _ => Happening::Death { place: one },
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Broken> {
        self.note(|now_ns| format!("{now_ns:>12} {happening:?}"));
        let now_ns = self.now_ns;
        match happening {
            Happening::Notice(notice) => return self.deliver(notice),
            Happening::Tell { from, to, count, is_bulk } => self.tell(from, to, count, is_bulk)?,
            Happening::Control { from, to, count } => self.with_node(from, |node| {
                (0..count).for_each(|_| node.control(node_id(to), now_ns));
                node.tick(now_ns);
            })?,
            Happening::Cut(told) => {
                let open = self.network.open();
                if let Some(&connection) = self.random.choice(&open) {
                    let notices = self.network.cut(connection, told, now_ns);
                    self.queue_notices(notices);
                }
            }
            Happening::Block { one, other, for_ns } => {
                self.network.block(one, other, now_ns + for_ns);
            }
            Happening::Pause { place, for_ns } => {
                self.paused_until_ns[place] = self.paused_until_ns[place].max(now_ns + for_ns);
            }
            Happening::Death { place } => {
                if self.nodes[place].take().is_some() {
                    let notices = self.network.die(place, now_ns);
                    self.queue_notices(notices);
                    self.wakes_ns[place] = None;
                    let back_ns = now_ns + self.random.u64(0..SECOND_NS);
                    self.queue_at(back_ns, Happening::Start { place });
                }
            }
            Happening::Start { place } => {
                self.lives += 1;
                let incarnation = Incarnation { number: self.lives, started_at_ns: now_ns };
                let seed = self.random.u64(..);
                let (cores, settings) = (&self.cores, self.settings);
                let node = Node::new(place, incarnation, cores, settings, seed, now_ns);
                self.nodes[place] = Some(node);
                self.paused_until_ns[place] = 0;
                self.with_node(place, |node| node.tick(now_ns))?;
            }
            Happening::Look => {}
        }
        Ok(())
    }

    fn tell(&mut self, from: usize, to: usize, count: u32, is_bulk: bool) -> Result<(), Broken> {
        let Some(own) = self.nodes[from].as_ref().map(|node| node.incarnation.number) else {
            return Ok(());
        };
        for _ in 0..count {
            let cores = match is_bulk {
                true => (0, 0),
                false => (self.random.u16(0..self.cores[from]), self.random.u16(0..self.cores[to])),
            };
            let id = self.ledger.begin(own);
            let bytes = self.random.u64(1..=MESSAGE_LIMIT_BYTES);
            self.with_node(from, |node| node.tell(node_id(to), cores, bytes, id, is_bulk))?;
        }
        let now_ns = self.now_ns;
        self.with_node(from, |node| node.tick(now_ns))
    }

    fn deliver(&mut self, notice: Notice) -> Result<(), Broken> {
        let place = self.network.place(notice.connection, notice.side);
        if self.paused_until_ns[place] > self.now_ns && self.nodes[place].is_some() {
            self.queue_at(self.paused_until_ns[place], Happening::Notice(notice));
            return Ok(());
        }
        let (now_ns, connection) = (self.now_ns, notice.connection);
        if notice.is_end {
            return self.with_node(place, |node| node.ended(connection, now_ns));
        }
        let Some(frame) = self.network.take(connection, notice.side, now_ns) else { return Ok(()) };
        self.note(|_| format!("{:>12}   to {place}: {frame:?}", ""));
        self.with_node(place, |node| node.receive(connection, frame, now_ns))
    }

    /// Lets a node do something and carries out what it wants, if it lives.
    fn with_node(&mut self, place: usize, act: impl FnOnce(&mut Node)) -> Result<(), Broken> {
        let Some(mut node) = self.nodes[place].take() else { return Ok(()) };
        act(&mut node);
        let mut begun = true;
        while std::mem::take(&mut begun) || !node.outputs.commands.is_empty() {
            let outputs = std::mem::take(&mut node.outputs);
            for deed in outputs.deeds {
                self.note(|_| format!("{:>12}   at {place}: {deed:?}", ""));
                self.ledger.record(deed)?;
            }
            for command in outputs.commands {
                self.obey(place, &mut node, command);
            }
        }
        check_bounds(&node, &self.settings)?;
        self.wakes_ns[place] = node.next_deadline_ns();
        self.nodes[place] = Some(node);
        Ok(())
    }

    fn obey(&mut self, place: usize, node: &mut Node, command: Command) {
        self.note(|_| format!("{:>12}   by {place}: {command:?}", ""));
        let now_ns = self.now_ns;
        match command {
            Command::Dial { peer, key } => {
                let connection = self.network.dial(place, peer);
                node.dialled(node_id(peer), key, connection);
                // A dying node cuts its connections; one that is not there refuses.
                if self.nodes[peer].is_none() {
                    let notices = self.network.cut(connection, &[Side::Initiator], now_ns);
                    self.queue_notices(notices);
                }
            }
            Command::Send { connection, frame } => {
                let side = self.network.side_of(connection, place);
                let notice = self.network.send(connection, side, frame, now_ns);
                self.queue_notices(notice);
            }
            Command::Close { connection } => {
                let side = self.network.side_of(connection, place);
                let notices = self.network.close(connection, side, now_ns);
                self.queue_notices(notices);
            }
        }
    }

    /// Everything is quiet: nothing is missing, and both nodes of a pair mean the same connections.
    fn finish(&self) -> Result<(), Broken> {
        let alive: Vec<u32> =
            self.nodes.iter().flatten().map(|node| node.incarnation.number).collect();
        self.ledger.finish(&alive)?;
        for one in self.nodes.iter().flatten() {
            for other in self.nodes.iter().flatten().filter(|other| other.place > one.place) {
                let (at_one, at_other) = (node_id(one.place), node_id(other.place));
                let (ours, theirs) = (one.connections(at_other), other.connections(at_one));
                if ours != theirs {
                    let pair = (one.place, other.place);
                    return Err(Broken(format!("{pair:?} keep {ours:?} and {theirs:?}")));
                }
                let is_over = one.is_quarantined(at_other) || other.is_quarantined(at_one);
                if ours.is_empty() != is_over {
                    let pair = (one.place, other.place);
                    return Err(Broken(format!("{pair:?}: over {is_over}, connections {ours:?}")));
                }
            }
        }
        Ok(())
    }

    fn next_wake(&self) -> Option<(u64, usize)> {
        let wakes = self.wakes_ns.iter().zip(&self.paused_until_ns).enumerate();
        wakes.filter_map(|(place, (wake, paused))| Some(((*wake)?.max(*paused), place))).min()
    }

    fn queue_notices(&mut self, notices: impl IntoIterator<Item = Notice>) {
        for notice in notices {
            self.queue_at(notice.at_ns, Happening::Notice(notice));
        }
    }

    fn queue_at(&mut self, at_ns: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at_ns, self.sequence), happening);
    }

    fn any_pair(&mut self, places: usize) -> (usize, usize) {
        let one = self.random.usize(0..places);
        (one, (one + self.random.usize(1..places)) % places)
    }

    fn note(&mut self, line: impl FnOnce(u64) -> String) {
        if let Some(trace) = &mut self.trace {
            if trace.len() == SHOWN {
                trace.pop_front();
            }
            trace.push_back(line(self.now_ns));
        }
    }
}

/// Times in proportion to those of real nodes, but shorter; limits that are reached in some storms.
fn settings(random: &mut fastrand::Rng) -> NodeSettings {
    let is_tight = random.bool();
    NodeSettings {
        link: LinkSettings {
            window_bytes: random.u64(4 << 10..=128 << 10),
            report_within_ns: 10 * MILLISECOND_NS,
            chunks: ChunkSettings {
                message_limit_bytes: MESSAGE_LIMIT_BYTES as usize,
                piece_limit_bytes: random.usize(500..=5_000),
                budget_bytes: if is_tight { 30_000 } else { 1 << 20 },
            },
            slow_peer: SlowPeerSettings {
                high_water_bytes: if is_tight { 20_000 } else { 1 << 20 },
                slow_after_ns: 200 * MILLISECOND_NS,
                disconnect_after_ns: 200 * MILLISECOND_NS,
            },
        },
        dial: DialSettings {
            first_pause_ns: 10 * MILLISECOND_NS,
            pause_limit_ns: 300 * MILLISECOND_NS,
            settled_after_ns: SECOND_NS,
            attempt_limit_ns: SECOND_NS,
        },
        control: ControlSettings {
            waiting_limit: if is_tight { 60 } else { 20_000 },
            under_way_limit: random.usize(1..=100),
            resend_after_ns: random.u64(20..=500) * MILLISECOND_NS,
            resend_after_limit_ns: SECOND_NS,
        },
        liveness: LivenessSettings {
            heartbeat_every_ns: 200 * MILLISECOND_NS,
            unreachable_after_ns: SECOND_NS,
            ..LivenessSettings::default()
        },
        outbox: OutboxSettings {
            connection_limit_bytes: if is_tight { 60_000 } else { 1 << 20 },
            peer_limit_bytes: if is_tight { 90_000 } else { 2 << 20 },
            core_limit_bytes: if is_tight { 120_000 } else { 4 << 20 },
        },
        laziness_ns: random.u64(0..=50) * MILLISECOND_NS,
        flaw: None,
    }
}

/// What a node holds for its peers stays within its budgets, and the budgets agree with each other.
fn check_bounds(node: &Node, settings: &NodeSettings) -> Result<(), Broken> {
    let mut sum = 0;
    for (peer, link) in &node.links {
        let (places, of_peer) = link.used_bytes();
        sum += of_peer;
        if places != of_peer || of_peer > settings.outbox.peer_limit_bytes {
            return Err(Broken(format!("{peer}: {places} bytes wait, {of_peer} are charged")));
        }
        if link.reserved_bytes() > settings.link.chunks.budget_bytes {
            return Err(Broken(format!("{peer}: {} bytes reserved", link.reserved_bytes())));
        }
    }
    let core = node.core_used_bytes();
    if sum != core || core > settings.outbox.core_limit_bytes {
        return Err(Broken(format!("{sum} bytes wait, {core} are charged to the core")));
    }
    Ok(())
}
