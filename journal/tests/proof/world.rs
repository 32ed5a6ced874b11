//! A core log, a driver, a simulated disk and an observer. The driver is the right one, or has one [`Flaw`].

use std::collections::BTreeMap;

use mainspring_journal::format::{BLOCK_BYTES, RecordKind};
use mainspring_journal::log::recovery::{Expected, Recovered, RecoveryError, recover};
use mainspring_journal::log::{
    CoreLog, DeclaredEntity, DeclaredSchema, Durable, LogIdentity, LogSettings, NewRecord,
    SegmentFile, Write,
};
use mainspring_journal::testkit::{DiskError, Fate, Fault, SimulatedDisk};

use crate::oracle::{Event, Group, Ledger};
use crate::page_reader::{self, Entity, Log, Rules};

/// What a driver does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// It takes a write for durable that was never synced.
    SkipsSync,
    /// It takes a write for durable when it is handed to the device.
    AcknowledgesEarly,
    /// It tells those in a frame that it is durable although an earlier frame is not.
    AcknowledgesOutOfOrder,
    /// It takes a short write or a failed sync for a good one.
    IgnoresFailures,
    /// It does not sync the directory of a new segment.
    SkipsDirectorySync,
    /// It writes on without having zeroed a torn tail.
    SkipsRepair,
}

/// What may happen in a world beside crashes.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub frames_in_flight: usize,
    pub segment_blocks: u64,
    /// The device runs out of space, and gets it back.
    pub space: bool,
    /// Writes are short, and syncs fail.
    pub failures: bool,
}

pub const FAIR: Weather =
    Weather { frames_in_flight: 1, segment_blocks: 12, space: false, failures: false };

/// Everything.
pub struct World {
    pub disk: SimulatedDisk,
    pub ledger: Ledger,
    pub random: fastrand::Rng,
    log: CoreLog,
    flaw: Flaw,
    weather: Weather,
    entities: Vec<(Entity, DeclaredEntity)>,
    schemas: Vec<DeclaredSchema>,
    in_flight: Vec<Write>,
    /// Writes that were taken for durable and are still on their way.
    late: Vec<u64>,
    now_ns: u64,
    next_file: u64,
    /// Makes every payload another one.
    payloads: u64,
    /// Groups that were refused because the journal was full.
    pub refused: u64,
    /// Where every call of the disk is recorded: what was on it then, and what had been promised.
    pub moments: Option<Vec<(SimulatedDisk, Ledger)>>,
}

impl World {
    pub fn new(seed: u64, weather: Weather, flaw: Flaw) -> World {
        World {
            disk: SimulatedDisk::seeded(seed),
            ledger: Ledger::default(),
            random: fastrand::Rng::with_seed(seed ^ 0x5EED),
            log: CoreLog::new(identity(), settings(weather)),
            flaw,
            weather,
            entities: (0..3).map(named).collect(),
            schemas: schemas(),
            in_flight: Vec::new(),
            late: Vec::new(),
            now_ns: 0,
            next_file: 1,
            payloads: 0,
            refused: 0,
            moments: None,
        }
    }

    /// One thing happens.
    pub fn step(&mut self) {
        self.now_ns += 300_000;
        self.change_weather();
        match self.random.u8(0..10) {
            0..=4 => self.append(),
            5..=6 => self.submit(),
            7..=8 => self.complete_one(),
            _ => self.mark_idle(),
        }
    }

    pub fn steps(&mut self, most: usize) {
        for _ in 0..self.random.usize(1..most) {
            self.step();
        }
    }

    /// Everything that was taken is durable, and the log has said so.
    pub fn settle(&mut self) {
        for _ in 0..3 {
            self.now_ns += 2_000_000;
            self.mark_idle();
            self.complete_all();
        }
        self.disk.crash_with(&mut |_| Fate::Lost);
    }

    /// Everything that was taken is written and comes back.
    pub fn complete_all(&mut self) {
        while !self.log.is_settled() {
            self.submit();
            self.complete_one();
        }
    }

    /// Appends one to three events of one entity, which belong together.
    pub fn append(&mut self) {
        self.make_segments();
        let place = self.random.usize(0..self.entities.len());
        let schema = self.random.usize(0..self.schemas.len());
        let (entity, declared) = &mut self.entities[place];
        let (sequence, shard_sequence) = self.ledger.next_sequences(entity);
        let mut events = Vec::new();
        for number in 0..self.random.u64(1..=3) {
            self.payloads += 1;
            let longest = if self.random.u8(0..8) == 0 { 6_000 } else { 400 };
            let length = self.random.usize(8..=longest);
            let mut payload = vec![self.payloads as u8; length];
            payload[..8].copy_from_slice(&self.payloads.to_le_bytes());
            events.push(Event {
                entity: entity.clone(),
                sequence: sequence + number,
                shard_sequence: shard_sequence + number,
                payload,
            });
        }
        let mut records: Vec<NewRecord<'_>> = events.iter().map(record_of).collect();
        records[0].schema = Some(&self.schemas[schema]);
        match self.log.append(self.now_ns, declared, &records) {
            Ok(position) => self.ledger.groups.push(Group {
                events,
                frame: position.frame,
                is_acknowledged: false,
            }),
            Err(_) => self.refused += 1,
        }
    }

    /// A marker is put in line when the log has been idle for long enough.
    pub fn mark_idle(&mut self) {
        self.make_segments();
        self.log.mark_idle(self.now_ns);
    }

    /// Hands to the device what may be in flight.
    pub fn submit(&mut self) {
        while let Some(write) = self.log.next_write(self.now_ns, self.now_ns / 1_000_000) {
            self.disk.write(write.frame, write.file, write.offset, &write.bytes).expect("in range");
            self.record();
            if self.flaw == Flaw::AcknowledgesEarly {
                self.late.push(write.frame);
                self.is_durable(write.frame);
            } else {
                self.in_flight.push(write);
            }
        }
    }

    /// One write comes back.
    pub fn complete_one(&mut self) {
        if !self.late.is_empty() {
            let frame = self.late.swap_remove(self.random.usize(0..self.late.len()));
            _ = self.disk.sync(frame);
        }
        if self.in_flight.is_empty() {
            return;
        }
        let frame = self.in_flight.swap_remove(self.random.usize(0..self.in_flight.len())).frame;
        let result = match self.flaw {
            Flaw::SkipsSync => Ok(()),
            _ => self.disk.sync(frame),
        };
        self.record();
        match result {
            Err(_) if self.flaw != Flaw::IgnoresFailures => self.has_failed(frame),
            _ => self.is_durable(frame),
        }
    }

    /// The power fails now.
    pub fn crash(&mut self) {
        self.disk.crash();
    }

    /// Opens the log again as the driver does: repair first, then the spare files are made ready.
    pub fn reopen(&mut self, recovered: Recovered, found: &[Event]) {
        if let Some(repair) = recovered.repair.filter(|_| self.flaw != Flaw::SkipsRepair) {
            self.disk.zero(repair.file, repair.offset, repair.zero_bytes);
        }
        self.ledger.reopen(found);
        self.log =
            CoreLog::resumed(identity(), settings(self.weather), recovered.segment, recovered.tail);
        for file in recovered.spare_files {
            self.disk.remove(file).expect("recovery has found it");
        }
        self.disk.sync_directory();
        self.entities = (0..3).map(named).collect();
        self.schemas = schemas();
        self.in_flight.clear();
        self.late.clear();
    }

    fn change_weather(&mut self) {
        if self.weather.space && self.random.u8(0..20) == 0 {
            let blocks = self.random.u64(0..8 * self.weather.segment_blocks);
            let is_over = self.random.bool();
            self.disk.set_space(if is_over { u64::MAX } else { blocks * BLOCK_BYTES as u64 });
        }
        if self.weather.failures && self.random.u8(0..40) == 0 {
            let fault = if self.random.bool() { Fault::Short } else { Fault::Sync };
            self.disk.fail_next_write(fault);
        }
    }

    fn make_segments(&mut self) {
        let bytes = self.weather.segment_blocks * BLOCK_BYTES as u64;
        while self.log.wanted_segments() > 0 {
            let file = SegmentFile(self.next_file);
            match self.disk.create_unsynced(file, bytes) {
                Err(DiskError::NoSpace) => return,
                other => other.expect("only space can be missing"),
            }
            self.record();
            self.disk.sync_file(file);
            self.record();
            if self.flaw != Flaw::SkipsDirectorySync {
                self.disk.sync_directory();
            }
            self.record();
            self.log.add_segment(file);
            self.next_file += 1;
        }
    }

    fn is_durable(&mut self, frame: u64) {
        let Durable { frame: durable, .. } = self.log.completed(frame).expect("in flight");
        let out_of_order = self.flaw == Flaw::AcknowledgesOutOfOrder;
        self.ledger.acknowledge(|other| other <= durable || out_of_order && other == frame);
        self.record();
    }

    fn record(&mut self) {
        if let Some(moments) = &mut self.moments {
            moments.push((self.disk.clone(), self.ledger.clone()));
        }
    }

    fn has_failed(&mut self, frame: u64) {
        self.log.failed(frame).expect("in flight");
        assert!(self.log.is_poisoned());
    }
}

/// What the crate finds on a disk.
pub fn recover_from(disk: &mut SimulatedDisk) -> Result<Recovered, RecoveryError> {
    let expected = Expected { system: "proof".into(), core: 0, shard_count: 16 };
    recover(disk, &expected, &mut |_| ())
}

/// What a reader finds on a disk that keeps these rules of the page.
pub fn read_by_page(disk: &SimulatedDisk, rules: Rules) -> Result<Log, String> {
    let files: BTreeMap<u64, Vec<u8>> =
        disk.file_names().map(|file| (file.0, disk.bytes(file).to_vec())).collect();
    page_reader::read(&files, rules)
}

/// The events of a log that a reader of the page has found.
pub fn events_of(log: &Log) -> Vec<Event> {
    let records = log.frames.iter().flat_map(|frame| &frame.records);
    let event = |record: &page_reader::Record| {
        record.entity.clone().map(|entity| Event {
            entity,
            sequence: record.sequence,
            shard_sequence: record.shard_sequence,
            payload: record.payload.clone(),
        })
    };
    records.filter_map(event).collect()
}

fn identity() -> LogIdentity {
    LogIdentity { system: "proof".into(), log_id: 9, core: 0, shard_count: 16 }
}

fn settings(weather: Weather) -> LogSettings {
    LogSettings {
        segment_bytes: weather.segment_blocks * BLOCK_BYTES as u64,
        frames_in_flight_limit: weather.frames_in_flight,
        frame_limit_bytes: 4 * BLOCK_BYTES,
        ..LogSettings::default()
    }
}

fn named(number: u8) -> (Entity, DeclaredEntity) {
    let entity = Entity { kind: "account".into(), id: vec![b'0' + number] };
    let declared = DeclaredEntity::new(&entity.kind, &entity.id).expect("short");
    (entity, declared)
}

fn schemas() -> Vec<DeclaredSchema> {
    ["account.deposited", "account.withdrawn"]
        .map(|name| DeclaredSchema::new(name, 2, 7).expect("short"))
        .to_vec()
}

fn record_of(event: &Event) -> NewRecord<'_> {
    NewRecord {
        kind: RecordKind::Event,
        schema: None,
        shard: 1,
        entity_sequence: event.sequence,
        shard_sequence: event.shard_sequence,
        epoch: 1,
        payload: &event.payload,
    }
}
