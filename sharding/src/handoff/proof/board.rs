//! Regions, an ownership store and an oracle that sees everything, without any idea of when things happen.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::handoff::{Input, Message, Output, Payload, RefusalReason, Region, Route, Settings};
use crate::ownership::{
    Epoch, MemoryOwnership, Ownership, OwnershipStore, RequestId, StoreAnswer, StoreRequest,
};

/// A place.
pub type Place = u8;

/// A message for an entity: who sent it to which shard, and the how manieth of these it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Parcel {
    pub origin: Place,
    pub shard: u32,
    pub number: u32,
}

impl Payload for Parcel {
    fn len_bytes(&self) -> usize {
        8
    }
}

/// Something that will happen somewhere, sooner or later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// May be lost, doubled, reordered.
    Control { from: Place, to: Place, message: Message<Place, Parcel> },
    /// In order with all others of the same way.
    InOrder { from: Place, to: Place, wire: Wire },
    /// The entities of a shard will have stopped.
    Stopped { place: Place, shard: u32, step: u64, is_killed: bool },
    /// The journal will have sealed.
    Sealed { place: Place, shard: u32, epoch: Epoch, step: u64 },
    /// The store will decide.
    Asked { place: Place, step: u64, request: StoreRequest<Place> },
}

impl Effect {
    /// The same for equal ones.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// What travels in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    Direct { epoch: Epoch, parcel: Parcel },
    Flush { message: Message<Place, Parcel> },
}

/// A rule of the store or of nodes that is not kept, to see the proof fail without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Laxity {
    /// The store changes an owner whatever epoch the request names.
    IgnoresEpoch,
    /// The store lets a shard be taken from an owner that is present.
    RobsThePresent,
    /// The store gives a shard to a place that is absent.
    GivesToTheAbsent,
    /// A node goes on after its lease has ended.
    OutlivesItsLease,
}

/// What the journal of a shard, which all nodes share, has promised and taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Journal {
    /// It takes nothing of lower epochs.
    promised: Epoch,
    /// The epoch of the last thing that it took.
    taken: Epoch,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broken(pub String);

macro_rules! demand {
    ($holds:expr, $($words:tt)*) => {
        if !$holds {
            return Err(Broken(format!($($words)*)));
        }
    };
}

/// Everything but time and chance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Board {
    pub regions: Vec<Region<Place, Parcel>>,
    pub store: MemoryOwnership<Place>,
    pub settings: Settings,
    /// Who opened a shard at an epoch.
    opened: BTreeMap<(u32, Epoch), Place>,
    /// At which epoch a place may run entities of a shard, and whether any runs.
    running: BTreeMap<(Place, u32), (Epoch, bool)>,
    /// The number of the last parcel delivered, by origin and shard.
    last: BTreeMap<(Place, u32), u32>,
    /// Parcels that were sent and are neither delivered nor given back.
    pub open: BTreeMap<Parcel, ()>,
    /// Parcels given back as perhaps handled, by a place that others take for gone; they may be handled there yet.
    doubtful: BTreeSet<Parcel>,
    sent: BTreeMap<(Place, u32), u32>,
    /// Places that never do anything again.
    dead: Vec<Place>,
    /// Whether some place is dead, or others may take it for gone.
    pub is_somebody_gone: bool,
    /// What was sent before the last death was known everywhere, by origin and shard.
    forgiven: BTreeMap<(Place, u32), u32>,
    pub refused: u32,
    pub delivered: u32,
    pub laxity: Option<Laxity>,
    /// Whether entities write a journal before they answer: what it refuses does not count as delivered.
    pub is_durable: bool,
    journals: BTreeMap<u32, Journal>,
}

impl Board {
    /// `places` regions; the shards belong to them in turn by the store, and everybody knows. The last `late` of them
    /// have not joined: nobody knows them, and they know no shard.
    pub fn new(places: Place, late: Place, shards: u32, settings: Settings) -> Board {
        let all: Vec<Place> = (0..places).collect();
        let first: Vec<Place> = (0..places - late).collect();
        let mut board = Board {
            regions: all
                .iter()
                .map(|&me| match first.contains(&me) {
                    true => Region::new(me, first.iter().copied(), shards, settings),
                    false => Region::joining(me, all.iter().copied(), shards, settings),
                })
                .collect(),
            store: MemoryOwnership::new(shards, first.iter().copied()),
            settings,
            opened: BTreeMap::new(),
            running: BTreeMap::new(),
            last: BTreeMap::new(),
            open: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            sent: BTreeMap::new(),
            dead: Vec::new(),
            is_somebody_gone: false,
            forgiven: BTreeMap::new(),
            refused: 0,
            delivered: 0,
            laxity: None,
            is_durable: false,
            journals: BTreeMap::new(),
        };
        for shard in 0..shards {
            let owner = first[shard as usize % first.len()];
            board.settle_at(shard, owner, &first);
        }
        board
    }

    /// The shard's first owner, started and known to all, before anything is watched.
    fn settle_at(&mut self, shard: u32, to: Place, told: &[Place]) {
        let request = StoreRequest::TakeOver { shard, expected: Epoch::NONE, to };
        let StoreAnswer::Changed(ownership) = self.store.decide(request) else {
            panic!("a fresh shard was refused")
        };
        for &place in told {
            let learned = Input::Learned { shard, ownership };
            let effects = self.input(0, place, learned).expect("nothing breaks yet");
            for effect in effects {
                if let Effect::Sealed { place, shard, epoch, step } = effect {
                    self.sealed(0, place, shard, epoch, step).expect("nothing breaks yet");
                }
            }
        }
    }

    /// A local sender at `origin` sends to the shard, as the runtime does: by the table first.
    pub fn send(&mut self, now_ns: u64, origin: Place, shard: u32) -> Result<Vec<Effect>, Broken> {
        let sent = self.sent.entry((origin, shard)).or_default();
        *sent += 1;
        let parcel = Parcel { origin, shard, number: *sent };
        self.open.insert(parcel, ());
        match self.regions[usize::from(origin)].route(shard) {
            Route::Here => self.deliver(origin, parcel).map(|()| Vec::new()),
            Route::There(to, epoch) => {
                let wire = Wire::Direct { epoch, parcel };
                Ok(vec![Effect::InOrder { from: origin, to, wire }])
            }
            Route::Park => {
                let arrived =
                    Input::Arrived { from: origin, shard, epoch: Epoch::NONE, payload: parcel };
                self.input(now_ns, origin, arrived)
            }
        }
    }

    /// What came down a way in order.
    pub fn receive(
        &mut self,
        now_ns: u64,
        from: Place,
        to: Place,
        wire: Wire,
    ) -> Result<Vec<Effect>, Broken> {
        match wire {
            Wire::Direct { epoch, parcel } => {
                if self.regions[usize::from(to)].accepts(parcel.shard, epoch) {
                    return self.deliver(to, parcel).map(|()| Vec::new());
                }
                let arrived = Input::Arrived { from, shard: parcel.shard, epoch, payload: parcel };
                self.input(now_ns, to, arrived)
            }
            Wire::Flush { message } => self.input(now_ns, to, Input::Message { from, message }),
        }
    }

    /// No entity of the shard runs at the place any more.
    pub fn stopped(
        &mut self,
        now_ns: u64,
        place: Place,
        shard: u32,
        step: u64,
    ) -> Result<Vec<Effect>, Broken> {
        if let Some((_, is_running)) = self.running.get_mut(&(place, shard)) {
            *is_running = false;
        }
        self.input(now_ns, place, Input::EntitiesStopped { shard, step })
    }

    /// The journal promises to take nothing of lower epochs for the shard; if it has promised more, it does not answer.
    pub fn sealed(
        &mut self,
        now_ns: u64,
        place: Place,
        shard: u32,
        epoch: Epoch,
        step: u64,
    ) -> Result<Vec<Effect>, Broken> {
        let journal = self.journals.entry(shard).or_default();
        if journal.promised > epoch {
            return Ok(Vec::new());
        }
        journal.promised = epoch;
        self.input(now_ns, place, Input::Sealed { shard, step, last_sequence: 0 })
    }

    /// The store decides; the answer is the asker's, when it comes.
    pub fn decide(
        &mut self,
        mut request: StoreRequest<Place>,
    ) -> Result<StoreAnswer<Place>, Broken> {
        let shard = request.shard();
        let before = self.store.record(shard);
        let present = self.loosen(&mut request);
        self.store.ask(0, RequestId(0), request).expect("one question at a time");
        let (_, answer) = self.store.next_answer(0).expect("answered at once");
        if let Some((place, is_present)) = present {
            self.set_present(place, is_present);
        }
        let after = self.store.record(shard);
        if after != before {
            self.check_change(shard, before, after)?;
        }
        Ok(answer)
    }

    /// Has the store not see what its rule would forbid; says whose presence is to be put right afterwards.
    fn loosen(&mut self, request: &mut StoreRequest<Place>) -> Option<(Place, bool)> {
        let record = self.store.record(request.shard());
        match (self.laxity?, request) {
            (
                Laxity::IgnoresEpoch,
                StoreRequest::GiveAway { expected, .. } | StoreRequest::TakeOver { expected, .. },
            ) => {
                *expected = record?.epoch;
                None
            }
            (Laxity::RobsThePresent, StoreRequest::TakeOver { .. }) => {
                let owner = record?.owner;
                let is_present = self.store.is_present(owner);
                self.store.leave(owner);
                Some((owner, is_present))
            }
            (
                Laxity::GivesToTheAbsent,
                StoreRequest::GiveAway { to, .. } | StoreRequest::TakeOver { to, .. },
            ) => {
                let is_present = self.store.is_present(*to);
                self.store.join(*to);
                Some((*to, is_present))
            }
            _ => None,
        }
    }

    fn set_present(&mut self, place: Place, is_present: bool) {
        match is_present {
            true => self.store.join(place),
            false => self.store.leave(place),
        }
    }

    fn check_change(
        &mut self,
        shard: u32,
        before: Option<Ownership<Place>>,
        after: Option<Ownership<Place>>,
    ) -> Result<(), Broken> {
        let epoch = |record: Option<Ownership<Place>>| record.map_or(Epoch::NONE, |r| r.epoch);
        demand!(epoch(after) > epoch(before), "shard {shard}: {before:?} became {after:?}");
        let (Some(before), Some(after)) = (before, after) else { return Ok(()) };
        let is_present = self.store.is_present(after.owner);
        demand!(is_present, "shard {shard} was given to {}, which is absent", after.owner);
        if before.owner != after.owner && self.store.is_present(before.owner) {
            let running = self.running.get(&(before.owner, shard));
            demand!(
                running.is_none_or(|(_, is_running)| !is_running),
                "shard {shard} was given to {} while entities ran at {}",
                after.owner,
                before.owner
            );
        }
        Ok(())
    }

    /// One input to one region; its outputs are done here as far as they concern the oracle.
    pub fn input(
        &mut self,
        now_ns: u64,
        place: Place,
        input: Input<Place, Parcel>,
    ) -> Result<Vec<Effect>, Broken> {
        let region = &mut self.regions[usize::from(place)];
        let shard = shard_of(&input);
        let before = shard.and_then(|shard| region.ownership(shard));
        let mut outputs = Vec::new();
        region.handle(now_ns, input, &mut outputs);
        let after = shard.and_then(|shard| region.ownership(shard));
        let epoch = |record: Option<Ownership<Place>>| record.map_or(Epoch::NONE, |r| r.epoch);
        demand!(
            epoch(after) >= epoch(before),
            "place {place} knew {before:?} and believes {after:?}"
        );
        let (messages, bytes) = region.parked();
        demand!(
            messages <= self.settings.parked_limit && bytes <= self.settings.parked_limit_bytes,
            "place {place} parks {messages} messages of {bytes} bytes"
        );
        let mut effects = Vec::new();
        for output in outputs {
            self.perform(place, output, &mut effects)?;
        }
        Ok(effects)
    }

    fn perform(
        &mut self,
        place: Place,
        output: Output<Place, Parcel>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        match output {
            Output::Deliver { origin, payload, .. } => {
                demand!(origin == payload.origin, "{payload:?} delivered as if from {origin}");
                self.deliver(place, payload)?;
            }
            Output::Direct { to, epoch, payload, .. } => {
                let wire = Wire::Direct { epoch, parcel: payload };
                effects.push(Effect::InOrder { from: place, to, wire });
            }
            Output::Send { to, message } if to != place && message.is_in_order() => {
                effects.push(Effect::InOrder { from: place, to, wire: Wire::Flush { message } });
            }
            Output::Send { to, message } => {
                effects.push(Effect::Control { from: place, to, message });
            }
            Output::StopEntities { shard, step, .. } => {
                effects.push(Effect::Stopped { place, shard, step, is_killed: false });
            }
            Output::KillEntities { shard, step } if step > 0 => {
                effects.push(Effect::Stopped { place, shard, step, is_killed: true });
            }
            Output::KillEntities { shard, .. } => {
                self.running.remove(&(place, shard));
            }
            Output::Seal { shard, epoch, step } => {
                effects.push(Effect::Sealed { place, shard, epoch, step });
            }
            Output::Open { shard, epoch } => self.open_shard(place, shard, epoch)?,
            Output::Store { step, request } => {
                effects.push(Effect::Asked { place, step, request });
            }
            Output::Refuse { payload, reason, .. } => self.give_back(payload, reason)?,
        }
        Ok(())
    }

    fn open_shard(&mut self, place: Place, shard: u32, epoch: Epoch) -> Result<(), Broken> {
        let owner = *self.opened.entry((shard, epoch)).or_insert(place);
        demand!(owner == place, "shard {shard}: {owner} and {place} both own epoch {epoch}");
        self.running.insert((place, shard), (epoch, false));
        Ok(())
    }

    fn deliver(&mut self, place: Place, parcel: Parcel) -> Result<(), Broken> {
        let Parcel { origin, shard, number } = parcel;
        let record = self.store.record(shard);
        let Some((epoch, is_running)) = self.running.get_mut(&(place, shard)) else {
            return Err(Broken(format!("{parcel:?} delivered at {place}, which is not open")));
        };
        *is_running = true;
        if self.is_durable {
            let journal = self.journals.entry(shard).or_default();
            if journal.promised > *epoch {
                // It is not written, so nobody is told that it was done.
                self.open.remove(&parcel);
                return Ok(());
            }
            demand!(
                journal.taken <= *epoch,
                "{parcel:?} written at {place} at epoch {epoch}, after epoch {}",
                journal.taken
            );
            journal.taken = *epoch;
        } else {
            demand!(
                record.is_some_and(|record| record.owner == place && record.epoch == *epoch),
                "{parcel:?} delivered at {place} at epoch {epoch}; the record is {record:?}"
            );
        }
        let is_open = self.open.remove(&parcel).is_some() || self.doubtful.remove(&parcel);
        demand!(is_open, "{parcel:?} delivered or given back before");
        let last = self.last.entry((origin, shard)).or_default();
        demand!(*last < number, "{parcel:?} delivered after number {last}");
        *last = number;
        self.delivered += 1;
        Ok(())
    }

    fn give_back(&mut self, parcel: Parcel, reason: RefusalReason) -> Result<(), Broken> {
        let was_open = self.open.remove(&parcel).is_some();
        // Whether the place that went had handled it is not known, and that is what the reason says.
        let may_be_both = reason == RefusalReason::OwnerGone && self.is_somebody_gone;
        demand!(was_open || may_be_both, "{parcel:?} refused ({reason}) after its end");
        if was_open && reason == RefusalReason::OwnerGone {
            self.doubtful.insert(parcel);
        }
        self.refused += 1;
        Ok(())
    }

    /// Whether the place does nothing any more.
    pub fn is_dead(&self, place: Place) -> bool {
        self.dead.contains(&place)
    }

    /// The place does nothing any more. What was on its way through it cannot be asked for.
    pub fn die(&mut self, place: Place) {
        self.dead.push(place);
        self.is_somebody_gone = true;
        self.running.retain(|(at, _), _| *at != place);
    }

    /// Everything sent until now may have been lost with the dead.
    pub fn forgive(&mut self) {
        self.forgiven = self.sent.clone();
    }

    fn is_forgiven(&self, parcel: &Parcel) -> bool {
        let last = self.forgiven.get(&(parcel.origin, parcel.shard));
        self.dead.contains(&parcel.origin) || last.is_some_and(|last| parcel.number <= *last)
    }

    /// What must hold when nothing is on its way and no deadline is set.
    pub fn check_quiet(&self) -> Result<(), Broken> {
        let missing: Vec<&Parcel> =
            self.open.keys().filter(|parcel| !self.is_forgiven(parcel)).collect();
        demand!(missing.is_empty(), "neither delivered nor given back: {missing:?}");
        for (place, region) in self.regions.iter().enumerate() {
            if self.dead.contains(&(place as Place)) {
                continue;
            }
            demand!(region.parked() == (0, 0), "parked for ever: {:?}", region.parked());
        }
        for shard in 0..self.shards() {
            let record = self.store.record(shard).expect("every shard has an owner");
            let owner = &self.regions[usize::from(record.owner)];
            demand!(owner.is_settled(shard), "shard {shard} of {record:?} is not settled");
        }
        Ok(())
    }

    /// The earliest deadline of all regions.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let living = self.regions.iter().enumerate();
        living
            .filter(|(place, _)| !self.dead.contains(&(*place as Place)))
            .filter_map(|(_, region)| region.next_deadline_ns())
            .min()
    }

    pub fn shards(&self) -> u32 {
        self.regions[0].shard_count()
    }
}

fn shard_of(input: &Input<Place, Parcel>) -> Option<u32> {
    match input {
        Input::Arrived { shard, .. }
        | Input::EntitiesStopped { shard, .. }
        | Input::Sealed { shard, .. }
        | Input::StoreAnswered { shard, .. }
        | Input::Learned { shard, .. } => Some(*shard),
        Input::Message { message, .. } => Some(message.shard()),
        Input::PlaceJoined(_) | Input::PlaceGone(_) | Input::Tick => None,
    }
}
