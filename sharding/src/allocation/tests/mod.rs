//! Plans for made-up clusters: what every plan keeps, and what a few of them reach.

mod balance;
mod laws;
mod oldest;
mod placement;
mod versions;
mod wishes;

use std::collections::BTreeSet;

use super::*;
use crate::ownership::Place;

const SECOND_NS: u64 = 1_000_000_000;

/// A member that a test can change.
#[derive(Clone)]
struct Member {
    incarnation: u64,
    cores: u16,
    status: NodeStatus,
    has_role: bool,
    app_version: &'static str,
    is_reachable: bool,
    up_number: Option<u64>,
}

/// Members, shards and where they are.
#[derive(Clone)]
struct Cluster {
    allocator: Allocator,
    members: Vec<Member>,
    homes: Vec<Option<Place>>,
    moving: BTreeSet<u32>,
    absent: BTreeSet<u64>,
    now_ns: u64,
}

impl Cluster {
    /// Nodes 1, 2, … with so many cores each, and shards that nobody owns.
    fn new(settings: AllocationSettings, cores: &[u16], shards: usize) -> Self {
        let member = |(incarnation, cores): (u64, &u16)| Member {
            incarnation,
            cores: *cores,
            status: NodeStatus::Up,
            has_role: true,
            app_version: "1.0",
            is_reachable: true,
            up_number: Some(incarnation),
        };
        Cluster {
            allocator: Allocator::new(settings).unwrap(),
            members: (1..).zip(cores).map(member).collect(),
            homes: vec![None; shards],
            moving: BTreeSet::new(),
            absent: BTreeSet::new(),
            now_ns: 0,
        }
    }

    /// The first `counts[n]` shards that are left belong to node n + 1, core 0.
    fn settled(settings: AllocationSettings, cores: &[u16], counts: &[usize]) -> Self {
        let mut cluster = Cluster::new(settings, cores, 0);
        for (incarnation, count) in (1..).zip(counts) {
            let home = Some(place(incarnation, 0));
            cluster.homes.extend(std::iter::repeat_n(home, *count));
        }
        cluster
    }

    /// Whatever is asked for at the survey of this moment.
    fn with<R>(&mut self, ask: impl FnOnce(&mut Allocator, &Survey<'_>) -> R) -> R {
        let standing = |member: &Member| NodeStanding {
            incarnation: member.incarnation,
            cores: member.cores,
            status: member.status,
            has_role: member.has_role,
            app_version: member.app_version,
            is_reachable: member.is_reachable,
            up_number: member.up_number,
        };
        let nodes: Vec<NodeStanding<'_>> = self.members.iter().map(standing).collect();
        let (moving, absent) = (&self.moving, &self.absent);
        let survey = Survey { nodes: &nodes, homes: &self.homes, moving, absent };
        ask(&mut self.allocator, &survey)
    }

    fn plan(&mut self) -> Vec<Assignment> {
        let now_ns = self.now_ns;
        self.with(|allocator, survey| allocator.plan(now_ns, survey))
    }

    /// All of a plan, done at once.
    fn make(&mut self, assignments: &[Assignment]) {
        for one in assignments {
            self.homes[one.shard as usize] = Some(one.to);
        }
    }

    fn round(&mut self) -> Vec<Assignment> {
        self.now_ns += 10 * SECOND_NS;
        let assignments = self.plan();
        self.make(&assignments);
        assignments
    }

    /// Rounds until one has nothing to do, at most so many; how many had.
    fn settle(&mut self, most: usize) -> usize {
        (0..=most).find(|_| self.round().is_empty()).expect("still moving")
    }

    fn member(&mut self, incarnation: u64) -> &mut Member {
        self.members.iter_mut().find(|member| member.incarnation == incarnation).unwrap()
    }

    /// Whether nobody owns it, or one that is surely gone.
    fn is_unserved(&self, shard: u32) -> bool {
        self.homes[shard as usize].is_none_or(|home| self.absent.contains(&home.incarnation))
    }

    fn shards_of(&self, incarnation: u64) -> usize {
        self.homes.iter().flatten().filter(|home| home.incarnation == incarnation).count()
    }

    fn shards_on(&self, place: Place) -> usize {
        self.homes.iter().flatten().filter(|home| **home == place).count()
    }
}

fn place(incarnation: u64, core: u16) -> Place {
    Place { incarnation, core }
}

/// No limits.
fn settings() -> AllocationSettings {
    AllocationSettings {
        moves_percent: 100,
        most_moves: 65_536,
        most_under_way: 65_536,
        most_placed: 65_536,
        ..AllocationSettings::default()
    }
}

fn reasons(assignments: &[Assignment]) -> BTreeSet<Reason> {
    assignments.iter().map(|one| one.reason).collect()
}

#[test]
fn settings_with_which_nothing_would_ever_move_are_refused() {
    let setting = |settings| Allocator::new(settings).unwrap_err();
    let none = setting(AllocationSettings { moves_percent: 0, ..settings() });
    assert_eq!(none.to_string(), "moves_percent = 0 for the allocation of shards; choose 1 to 100");
    assert_eq!(setting(AllocationSettings { most_moves: 0, ..settings() }).setting, "most_moves");
    let none = setting(AllocationSettings { most_under_way: 0, ..settings() });
    assert_eq!(none.setting, "most_under_way");
    assert_eq!(setting(AllocationSettings { most_placed: 0, ..settings() }).setting, "most_placed");
}
