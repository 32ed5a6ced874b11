//! What is promised of shards, looked at between two steps of a simulation.
//!
//! A look sees the tables of all cores at one instant, which no running node could.

use std::collections::BTreeMap;
use std::rc::Rc;

use mainspring::message::Message;

use crate::entities::State;
use crate::handoff::Route;
use crate::node::{EntityType, Hosting};

/// A promise that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Two cores deliver for one shard.
    #[error(
        "shard {shard} delivers on core {first} at epoch {first_epoch} and on core {second} at epoch {epoch}"
    )]
    TwoOwners {
        /// The shard.
        shard: u32,
        /// One core.
        first: u16,
        /// Its epoch.
        first_epoch: u64,
        /// The other.
        second: u16,
        /// Its epoch.
        epoch: u64,
    },
    /// A shard has another owner, and its epoch has not risen; or a core went back to an earlier epoch.
    #[error(
        "shard {shard} is at epoch {epoch} on core {core}, after epoch {before} on core {core_before}"
    )]
    EpochNotRisen {
        /// The shard.
        shard: u32,
        /// Where it is.
        core: u16,
        /// Since which change.
        epoch: u64,
        /// Where it was.
        core_before: u16,
        /// Since which change.
        before: u64,
    },
    /// An entity runs twice.
    #[error("entity {entity} runs on core {first} and on core {second}")]
    RunsTwice {
        /// Its id, escaped.
        entity: String,
        /// One core.
        first: u16,
        /// The other.
        second: u16,
    },
    /// More waits, or runs, than may.
    #[error("core {core} has {value} {what}, and {limit} are the limit")]
    OverLimit {
        /// The core.
        core: u16,
        /// Of what.
        what: &'static str,
        /// How much there is.
        value: u64,
        /// How much may be.
        limit: u64,
    },
    /// A shard has no owner, or is still on its way, when nothing happens any more.
    #[error("shard {shard} has not come to rest: {owners} cores have it settled")]
    NotSettled {
        /// The shard.
        shard: u32,
        /// How many cores say that they have it.
        owners: usize,
    },
    /// Messages wait when nothing happens any more.
    #[error("{bytes} bytes of messages still wait on core {core}")]
    StillWaiting {
        /// The core.
        core: u16,
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
        /// The sender: a core, or the number of cores for the outside.
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
    /// A move that was begun has not ended.
    #[error("{moves} moves have not ended after {seconds} s of virtual time")]
    MoveNotEnded {
        /// How many.
        moves: usize,
        /// How long was waited.
        seconds: u64,
    },
}

/// What a core may have of each.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    parked_bytes: usize,
    active: u32,
}

/// What was seen so far.
pub(super) struct Watch {
    limits: Limits,
    /// Where each shard was seen to deliver last, and at which epoch.
    delivers: Vec<Option<(u16, u64)>>,
    /// The epoch of each shard that each core has known last.
    known: Vec<Vec<u64>>,
}

impl Limits {
    pub fn of(entity_type: &EntityType) -> Self {
        Limits { parked_bytes: entity_type.parked_limit_bytes, active: entity_type.at_most }
    }
}

impl Watch {
    pub fn new(cores: u16, shard_count: u32, limits: Limits) -> Self {
        let shards = shard_count as usize;
        let known = vec![vec![0; shards]; usize::from(cores)];
        Watch { limits, delivers: vec![None; shards], known }
    }

    /// Looks at all cores.
    pub fn look<M: Message>(&mut self, hostings: &[Rc<Hosting<M>>]) -> Result<(), Broken> {
        for shard in 0..self.delivers.len() as u32 {
            self.look_at_shard(hostings, shard)?;
        }
        let mut runs: BTreeMap<Box<[u8]>, u16> = BTreeMap::new();
        for hosting in hostings {
            self.look_at_bounds(hosting)?;
            look_at_entities(hosting, self.delivers.len() as u32, &mut runs)?;
        }
        Ok(())
    }

    /// Looks whether every shard is settled on one core, and nothing is parked.
    pub fn look_for_rest<M: Message>(&self, hostings: &[Rc<Hosting<M>>]) -> Result<(), Broken> {
        for shard in 0..self.delivers.len() as u32 {
            let is_settled = |hosting: &&Rc<Hosting<M>>| {
                let tables = hosting.tables.borrow();
                tables.shards.is_settled(shard) && tables.shards.route(shard) == Route::Here
            };
            let owners = hostings.iter().filter(is_settled).count();
            if owners != 1 {
                return Err(Broken::NotSettled { shard, owners });
            }
        }
        for hosting in hostings {
            let bytes = hosting.tables.borrow().shards.parked().1 as u64;
            if bytes > 0 {
                return Err(Broken::StillWaiting { core: hosting.place.core, bytes });
            }
        }
        Ok(())
    }

    fn look_at_shard<M: Message>(
        &mut self,
        hostings: &[Rc<Hosting<M>>],
        shard: u32,
    ) -> Result<(), Broken> {
        let mut here: Option<(u16, u64)> = None;
        for hosting in hostings {
            let tables = hosting.tables.borrow();
            let core = hosting.place.core;
            let epoch = tables.shards.ownership(shard).map_or(0, |ownership| ownership.epoch.0);
            let known = &mut self.known[usize::from(core)][shard as usize];
            if epoch < *known {
                let before = *known;
                return Err(Broken::EpochNotRisen {
                    shard,
                    core,
                    epoch,
                    core_before: core,
                    before,
                });
            }
            *known = epoch;
            if tables.shards.route(shard) != Route::Here {
                continue;
            }
            if let Some((first, first_epoch)) = here {
                return Err(Broken::TwoOwners { shard, first, first_epoch, second: core, epoch });
            }
            here = Some((core, epoch));
        }
        let Some((core, epoch)) = here else { return Ok(()) };
        if let Some((core_before, before)) = self.delivers[shard as usize]
            && (epoch < before || (epoch == before && core != core_before))
        {
            return Err(Broken::EpochNotRisen { shard, core, epoch, core_before, before });
        }
        self.delivers[shard as usize] = Some((core, epoch));
        Ok(())
    }

    fn look_at_bounds<M: Message>(&self, hosting: &Hosting<M>) -> Result<(), Broken> {
        let tables = hosting.tables.borrow();
        let (core, limits) = (hosting.place.core, self.limits);
        let parked = tables.shards.parked().1 as u64;
        within(core, "bytes parked for shards", parked, limits.parked_bytes as u64)?;
        let active = u64::from(tables.passivation.len());
        within(core, "active entities", active, u64::from(limits.active))?;
        let residents = u64::from(tables.residents.len());
        within(core, "entities", residents, u64::from(tables.residents.most()))
    }
}

fn within(core: u16, what: &'static str, value: u64, limit: u64) -> Result<(), Broken> {
    if value > limit { Err(Broken::OverLimit { core, what, value, limit }) } else { Ok(()) }
}

/// No entity runs on a core on which an earlier one ran.
fn look_at_entities<M: Message>(
    hosting: &Hosting<M>,
    shard_count: u32,
    runs: &mut BTreeMap<Box<[u8]>, u16>,
) -> Result<(), Broken> {
    let tables = hosting.tables.borrow();
    for slot in (0..shard_count).flat_map(|shard| tables.residents.of_shard(shard)) {
        let Some(resident) = tables.residents.get(slot) else { continue };
        let runs_here = resident.value.is_some()
            && matches!(tables.residents.state(slot), Some(State::Active | State::Passivating));
        if !runs_here {
            continue;
        }
        if let Some(first) = runs.insert(resident.id.into(), hosting.place.core) {
            let entity = resident.id.escape_ascii().to_string();
            return Err(Broken::RunsTwice { entity, first, second: hosting.place.core });
        }
    }
    Ok(())
}
