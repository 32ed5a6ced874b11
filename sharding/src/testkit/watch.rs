//! What is promised of shards, looked at between two steps of a simulation.
//!
//! A look sees the tables of all places, of one node or of all nodes of a cluster, at one instant, which no running
//! node could. A place delivers for a shard if its tables say so and its node's lease holds; a node that stands still
//! may go on to believe in a shard that another one has got, as long as its lease does not hold any more.

use std::collections::BTreeMap;
use std::rc::Rc;

use mainspring::message::Message;

use crate::entities::State;
use crate::handoff::Route;
use crate::node::{EntityType, Hosting};
use crate::ownership::Place;

/// After how long a node that is awake, and whose lease does not hold, must have stopped all entities.
const FENCED_WITHIN_NS: u64 = 200_000_000;

/// A promise that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Two places deliver for one shard.
    #[error(
        "shard {shard} delivers at {first} at epoch {first_epoch} and at {second} at epoch {epoch}"
    )]
    TwoOwners {
        /// The shard.
        shard: u32,
        /// One place.
        first: Place,
        /// Its epoch.
        first_epoch: u64,
        /// The other.
        second: Place,
        /// Its epoch.
        epoch: u64,
    },
    /// A shard has another owner, and its epoch has not risen; or a place went back to an earlier epoch.
    #[error("shard {shard} is at epoch {epoch} at {place}, after epoch {before} at {place_before}")]
    EpochNotRisen {
        /// The shard.
        shard: u32,
        /// Where it is.
        place: Place,
        /// Since which change.
        epoch: u64,
        /// Where it was.
        place_before: Place,
        /// Since which change.
        before: u64,
    },
    /// An entity runs twice.
    #[error("entity {entity} runs at {first} and at {second}")]
    RunsTwice {
        /// Its id, escaped.
        entity: String,
        /// One place.
        first: Place,
        /// The other.
        second: Place,
    },
    /// More waits, or runs, than may.
    #[error("{place} has {value} {what}, and {limit} are the limit")]
    OverLimit {
        /// Where.
        place: Place,
        /// Of what.
        what: &'static str,
        /// How much there is.
        value: u64,
        /// How much may be.
        limit: u64,
    },
    /// A shard has no owner, or is still on its way, when nothing happens any more.
    #[error("shard {shard} has not come to rest: {owners} places have it settled")]
    NotSettled {
        /// The shard.
        shard: u32,
        /// How many places say that they have it.
        owners: usize,
    },
    /// Messages wait when nothing happens any more.
    #[error("{bytes} bytes of messages still wait at {place}")]
    StillWaiting {
        /// Where.
        place: Place,
        /// How much.
        bytes: u64,
    },
    /// An entity did a command twice, or one that nobody sent.
    #[error("entity {entity} has done command {command} {times} times")]
    NotOnce {
        /// Whose.
        entity: u64,
        /// Which.
        command: u64,
        /// How often.
        times: usize,
    },
    /// An entity did two commands of a sender in the wrong order.
    #[error("entity {entity} has done command {later} of sender {sender} before command {earlier}")]
    OutOfOrder {
        /// Whose.
        entity: u64,
        /// The sender: a core, or the number of cores for the outside; in a cluster, the number of its sender.
        sender: u16,
        /// What was sent first.
        earlier: u64,
        /// What was done first.
        later: u64,
    },
    /// A command was acknowledged that was not done.
    #[error("command {command} was acknowledged and not done")]
    NotDone {
        /// Which.
        command: u64,
    },
    /// Commands that were neither done nor refused, or done without an acknowledgement.
    #[error(
        "of {sent} commands {handled} were done, {acknowledged} acknowledged and {refused} refused: some are lost"
    )]
    Lost {
        /// So many were sent.
        sent: u64,
        /// So many were done.
        handled: u64,
        /// So many were acknowledged.
        acknowledged: u64,
        /// So many were refused and counted.
        refused: u64,
    },
    /// A place acts by a record that the store has not made.
    #[error("{place} has shard {shard} at epoch {epoch}, which the store has not said")]
    NotByTheStore {
        /// The shard.
        shard: u32,
        /// Where.
        place: Place,
        /// By which record.
        epoch: u64,
    },
    /// Entities run on a node that has lost its lease, and has had the time to stop them.
    #[error("entity {entity} runs on at {place}, {ms} ms after the lease of its node ended")]
    RunsOn {
        /// Its id, escaped.
        entity: String,
        /// Where.
        place: Place,
        /// How long after.
        ms: u64,
    },
    /// A node did a command for a shard that another one had got from it, and did not stand still before.
    #[error(
        "entity {entity} has done command {command} at {place}, after its shard went to {owner}"
    )]
    DoneTooLate {
        /// Whose.
        entity: u64,
        /// Which.
        command: u64,
        /// Where.
        place: Place,
        /// Who delivers for it.
        owner: Place,
    },
    /// What a node sees of its cluster cannot be.
    #[error("node {node} sees what cannot be: {what}")]
    Membership {
        /// The node.
        node: usize,
        /// What.
        what: String,
    },
    /// Not everything has come to rest after a storm.
    #[error("no rest within {seconds} s: {what}")]
    NoRest {
        /// How long was waited.
        seconds: u64,
        /// What is missing.
        what: String,
    },
    /// A move that was begun has not ended.
    #[error("{moves} moves have not ended after {seconds} s of virtual time")]
    MoveNotEnded {
        /// How many.
        moves: usize,
        /// How long was waited.
        seconds: u64,
    },
}

/// What a place may have of each.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    parked_bytes: usize,
    active: u32,
}

/// What was seen so far.
pub(super) struct Watch {
    limits: Limits,
    /// Where each shard was seen to deliver last, and at which epoch.
    delivers: Vec<Option<(Place, u64)>>,
    /// The epoch of each shard that each place has known last.
    known: BTreeMap<Place, Vec<u64>>,
    /// Since when each node has been awake without a lease that holds, by incarnation.
    fenced: BTreeMap<u64, u64>,
}

/// The tables of a place, and what goes on there.
pub(super) struct Seen<M> {
    pub hosting: Rc<Hosting<M>>,
    /// Whether its node does not stand still.
    pub is_awake: bool,
}

impl Limits {
    pub fn of(entity_type: &EntityType) -> Self {
        Limits { parked_bytes: entity_type.parked_limit_bytes, active: entity_type.at_most }
    }
}

impl Watch {
    pub fn new(shard_count: u32, limits: Limits) -> Self {
        let delivers = vec![None; shard_count as usize];
        Watch { limits, delivers, known: BTreeMap::new(), fenced: BTreeMap::new() }
    }

    /// Looks at all places.
    pub fn look<M: Message>(&mut self, now_ns: u64, places: &[Seen<M>]) -> Result<(), Broken> {
        for shard in 0..self.delivers.len() as u32 {
            self.look_at_shard(now_ns, places, shard)?;
        }
        let mut runs: BTreeMap<Box<[u8]>, Place> = BTreeMap::new();
        for seen in places {
            self.look_at_bounds(&seen.hosting)?;
            self.look_at_entities(now_ns, seen, &mut runs)?;
        }
        Ok(())
    }

    /// Where a shard was seen to deliver last, and at which epoch.
    pub fn delivers(&self, shard: u32) -> Option<(Place, u64)> {
        self.delivers.get(shard as usize).copied().flatten()
    }

    /// Looks whether every shard is settled at one place, and nothing is parked.
    pub fn look_for_rest<M: Message>(&self, now_ns: u64, places: &[Seen<M>]) -> Result<(), Broken> {
        for shard in 0..self.delivers.len() as u32 {
            let is_settled = |seen: &&Seen<M>| {
                let tables = seen.hosting.tables.borrow();
                let holds = seen.hosting.peers.tenure.holds(now_ns);
                holds
                    && tables.shards.is_settled(shard)
                    && tables.shards.route(shard) == Route::Here
            };
            let owners = places.iter().filter(is_settled).count();
            if owners != 1 {
                return Err(Broken::NotSettled { shard, owners });
            }
        }
        for Seen { hosting, .. } in places {
            let bytes = hosting.tables.borrow().shards.parked().1 as u64;
            if bytes > 0 {
                return Err(Broken::StillWaiting { place: hosting.place, bytes });
            }
        }
        Ok(())
    }

    fn look_at_shard<M: Message>(
        &mut self,
        now_ns: u64,
        places: &[Seen<M>],
        shard: u32,
    ) -> Result<(), Broken> {
        let mut here: Option<(Place, u64)> = None;
        for Seen { hosting, .. } in places {
            let tables = hosting.tables.borrow();
            let place = hosting.place;
            let epoch = tables.shards.ownership(shard).map_or(0, |ownership| ownership.epoch.0);
            let shards = self.delivers.len();
            let known = self.known.entry(place).or_insert_with(|| vec![0; shards]);
            let before = std::mem::replace(&mut known[shard as usize], epoch);
            if epoch < before {
                let place_before = place;
                return Err(Broken::EpochNotRisen { shard, place, epoch, place_before, before });
            }
            let delivers = tables.shards.route(shard) == Route::Here;
            if !delivers || !hosting.peers.tenure.holds(now_ns) {
                continue;
            }
            if let Some((first, first_epoch)) = here {
                return Err(Broken::TwoOwners { shard, first, first_epoch, second: place, epoch });
            }
            here = Some((place, epoch));
        }
        let Some((place, epoch)) = here else { return Ok(()) };
        if let Some((place_before, before)) = self.delivers[shard as usize]
            && (epoch < before || (epoch == before && place != place_before))
        {
            return Err(Broken::EpochNotRisen { shard, place, epoch, place_before, before });
        }
        self.delivers[shard as usize] = Some((place, epoch));
        Ok(())
    }

    fn look_at_bounds<M: Message>(&self, hosting: &Hosting<M>) -> Result<(), Broken> {
        let tables = hosting.tables.borrow();
        let (place, limits) = (hosting.place, self.limits);
        let parked = tables.shards.parked().1 as u64;
        within(place, "bytes parked for shards", parked, limits.parked_bytes as u64)?;
        let active = u64::from(tables.passivation.len());
        within(place, "active entities", active, u64::from(limits.active))?;
        let residents = u64::from(tables.residents.len());
        within(place, "entities", residents, u64::from(tables.residents.most()))
    }

    /// No entity runs at a place when it runs at an earlier one. A node whose lease does not hold stops its entities as
    /// soon as it can.
    fn look_at_entities<M: Message>(
        &mut self,
        now_ns: u64,
        seen: &Seen<M>,
        runs: &mut BTreeMap<Box<[u8]>, Place>,
    ) -> Result<(), Broken> {
        let place = seen.hosting.place;
        let holds = seen.hosting.peers.tenure.holds(now_ns);
        if holds || !seen.is_awake {
            self.fenced.remove(&place.incarnation);
        }
        if !holds && !seen.is_awake {
            return Ok(());
        }
        let fenced_ns = match holds {
            true => 0,
            false => now_ns - *self.fenced.entry(place.incarnation).or_insert(now_ns),
        };
        for id in running(&seen.hosting, self.delivers.len() as u32) {
            let entity = || id.escape_ascii().to_string();
            if fenced_ns > FENCED_WITHIN_NS {
                let ms = fenced_ns / 1_000_000;
                return Err(Broken::RunsOn { entity: entity(), place, ms });
            }
            // One that is about to be stopped gets nothing more.
            if holds && let Some(first) = runs.insert(id.clone(), place) {
                return Err(Broken::RunsTwice { entity: entity(), first, second: place });
            }
        }
        Ok(())
    }
}

fn within(place: Place, what: &'static str, value: u64, limit: u64) -> Result<(), Broken> {
    if value > limit { Err(Broken::OverLimit { place, what, value, limit }) } else { Ok(()) }
}

/// The ids of the entities that run at a place.
fn running<M: Message>(hosting: &Hosting<M>, shard_count: u32) -> Vec<Box<[u8]>> {
    let tables = hosting.tables.borrow();
    let mut ids = Vec::new();
    for slot in (0..shard_count).flat_map(|shard| tables.residents.of_shard(shard)) {
        let Some(resident) = tables.residents.get(slot) else { continue };
        let runs = resident.value.is_some()
            && matches!(tables.residents.state(slot), Some(State::Active | State::Passivating));
        if runs {
            ids.push(resident.id.into());
        }
    }
    ids
}
