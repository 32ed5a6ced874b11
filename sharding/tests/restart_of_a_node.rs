//! A node with a journal on real files ends and starts again: the entities that ran run, without a message.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mainspring::prelude::*;
use mainspring_journal::Journal;
use mainspring_sharding::{Entities, EntityType, Sharding, passivate};

const SECOND: Duration = Duration::from_secs(1);
/// How long anything may take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

#[message]
enum Switch {
    On { reply_to: ActorRef<Burning> },
    Off,
}

#[message]
#[derive(Debug, PartialEq)]
struct Burning {
    switched: u64,
}

/// An entity that keeps nothing itself.
#[derive(Default)]
struct Lamp {
    switched: u64,
}

impl Actor for Lamp {
    type Message = Switch;

    fn receive(&mut self, ctx: &mut Context<Self>, switch: &Archived<Switch>) -> Next<Self> {
        match switch {
            ArchivedSwitch::On { reply_to } => {
                self.switched += 1;
                ctx.tell(*reply_to, &Burning { switched: self.switched });
            }
            ArchivedSwitch::Off => assert!(passivate(ctx), "a lamp is an entity"),
        }
        Next::Same
    }
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("restart-of-a-node-{}", std::process::id());
        Folder(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays for whoever cleans the folder of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn start(folder: &Path, journal_first: bool) -> (Node, Entities<Switch>) {
    let journal = Journal::at(folder).system("lamps").segment_bytes(1 << 20).allow_buffered(true);
    let sharding = Sharding::new();
    let lamp = EntityType::new("lamp").shards(8).remember(10_000);
    let lamps = sharding.entities(lamp, |_| Lamp::default()).expect("a good type");
    let builder = Node::builder().name("lamps").cores(Cores::count(1)).idle(IdleProfile::Eco);
    let builder = match journal_first {
        true => builder.with(journal).with(sharding),
        false => builder.with(sharding).with(journal),
    };
    (builder.start().expect("the node starts"), lamps)
}

/// Waits until so many lamps burn.
fn burning(node: &Node, lamps: &Entities<Switch>, wanted: u32) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let figures = lamps.figures(&node.client(), 0, PATIENCE).expect("asked").wait();
        if figures.expect("the region answers").entities == wanted {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

#[test]
fn lamps_burn_again_after_their_node_has_been_shut_down() {
    let folder = Folder::new();
    let (node, lamps) = start(&folder.0, true);
    let client = node.client();
    for id in 0..40_u64 {
        let on = |reply_to| Switch::On { reply_to };
        let burning = lamps.ask(&client, id, on, PATIENCE).expect("asked").wait();
        assert_eq!(burning.expect("it burns"), Burning { switched: 1 });
    }
    for id in 0..10_u64 {
        lamps.tell(&client, id, &Switch::Off).expect("told");
    }
    assert!(burning(&node, &lamps, 30));
    drop(client);
    node.shutdown(10 * SECOND).expect("the node ends in order");

    // Whatever comes first of the journal and the entities.
    for journal_first in [false, true] {
        let (node, lamps) = start(&folder.0, journal_first);
        assert!(burning(&node, &lamps, 30), "30 lamps burn again");
        let figures = lamps.figures(&node.client(), 0, PATIENCE).expect("asked").wait();
        let figures = figures.expect("the region answers");
        assert_eq!((figures.recalled, figures.started), (30, 30));
        node.shutdown(10 * SECOND).expect("the node ends in order");
    }
}
