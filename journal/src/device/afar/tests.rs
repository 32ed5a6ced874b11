//! What travels between cores is what was packed, has a place whatever is under way, and comes in order; a core that
//! ends leaves nobody waiting.

use std::collections::BTreeMap;

use mainspring::device::{TakesTickets, Ticket};

use super::asking::{Asking, Redemption};
use super::exchange::Exchange;
use super::letters::{Answer, CarriedGroup, Letter, NotKept, Reply, Request};
use super::owned_found::OwnedFound;
use super::{GROUPS_LIMIT_BYTES, Limits};
use crate::device::{CommitFailed, GroupRecord, ReadFailed, ShardClaim};
use crate::format::RecordKind;
use crate::log::DeclaredEntity;
use crate::schema::Layout;

/// Nobody is told.
struct Nobody;

impl<T> TakesTickets<T> for Nobody {
    fn redeemed(&self, _: u64, _: T) {}
}

fn ticket<T: 'static>() -> Ticket<T> {
    Ticket::for_shared::<Nobody>(0)
}

const LAYOUT: Layout = Layout { name: "counter.added", version: 3, fingerprint: 77 };

fn group(payload: &[u8]) -> CarriedGroup {
    let entity = DeclaredEntity::new("counter", b"alice").expect("a short name");
    let shard = ShardClaim { number: 5, epoch: 9 };
    let record = |kind, layout, sequence, payload| GroupRecord { kind, layout, sequence, payload };
    let records = [
        record(RecordKind::Event, Some(1), 41, payload),
        record(RecordKind::Tag, None, 41, b"even"),
        record(RecordKind::Command, None, 41, &[8; 16]),
    ];
    CarriedGroup::pack(&entity, shard, 40, &records, |number| (number == 1).then_some(LAYOUT))
}

#[test]
fn a_group_that_was_carried_is_the_one_that_was_packed() {
    for bytes in [0, 1, 15, 16, 17, 5_000] {
        let payload = vec![0xAB; bytes];
        let carried = group(&payload);
        assert_eq!((carried.shard.number, carried.shard.epoch, carried.after), (5, 9, 40));
        let records = carried.unpack(|layout| (layout == LAYOUT).then_some(12));
        let seen: Vec<_> = records
            .iter()
            .map(|record| (record.kind, record.layout, record.sequence, record.payload.to_vec()))
            .collect();
        let expected = [
            (RecordKind::Event, Some(12), 41, payload),
            (RecordKind::Tag, None, 41, b"even".to_vec()),
            (RecordKind::Command, None, 41, vec![8; 16]),
        ];
        assert_eq!(seen, expected);
        let settled = carried.settle(Ok(()));
        let read: Vec<_> = settled.records.records().map(|record| record.header.kind).collect();
        assert_eq!(read, [RecordKind::Event, RecordKind::Tag, RecordKind::Command]);
    }
}

#[test]
fn no_more_groups_are_sent_than_may_be_under_way() {
    let mut asking = Asking::new(3);
    let mut sent = 0;
    while asking.may_send(1, 100) {
        asking.send(1, 100, ticket());
        sent += 1;
    }
    assert_eq!(sent, Limits::of(3).groups);
    assert!(asking.may_send(2, 100), "another core has limits of its own");
    assert!(asking.may_send(2, 2 * GROUPS_LIMIT_BYTES), "one alone may be large");
    asking.send(2, 2 * GROUPS_LIMIT_BYTES, ticket());
    assert!(!asking.may_send(2, 1));
    assert!(!asking.may_send(3, 1), "there is no such core");
    let mut turns = Vec::new();
    asking.wait_for_room(ticket());
    asking.take_room(&mut turns);
    assert!(turns.is_empty());
    let answer = Answer::Settled { group: Box::new(group(b"x")), outcome: Ok(()) };
    asking.take(Reply { number: 1, answer }, &mut Vec::new());
    asking.take_room(&mut turns);
    assert_eq!(turns.len(), 1, "who waits is told when one has come back");
    assert!(asking.may_send(1, 100));
}

#[test]
fn when_a_core_ends_its_groups_are_unknown_and_its_readings_are_over() {
    let mut asking = Asking::new(3);
    asking.send(1, 10, ticket());
    asking.send(2, 10, ticket());
    for home in [1, 2] {
        for _ in 0..2 {
            asking.read(home, (7, 7), u64::MAX, ticket());
        }
    }
    // Of one reading the letter was sent.
    assert!(asking.next_reading().is_some());
    let mut redeemed = Vec::new();
    asking.lose(1, &mut redeemed);
    let unknown = redeemed.iter().filter(|it| {
        let unknown = Err(NotKept::Unknown(CommitFailed));
        matches!(it, Redemption::Settled(_, settled) if settled.outcome == unknown)
    });
    assert_eq!(unknown.count(), 1);
    let closed = redeemed
        .iter()
        .filter(|it| matches!(it, Redemption::Found(_, Err(ReadFailed::Closed { core: 1 }))));
    assert_eq!(closed.count(), 2);
    assert_eq!(redeemed.len(), 3);
    assert!(asking.is_waiting(), "what is asked of the other core goes on");
    redeemed.clear();
    asking.lose(2, &mut redeemed);
    assert_eq!(redeemed.len(), 3);
    assert!(!asking.is_waiting() && asking.next_reading().is_none());
}

/// A core that answers what it is asked for, at some time.
#[derive(Default)]
struct Home {
    groups: Vec<(u16, u64, Box<CarriedGroup>)>,
    asked: Vec<(u16, u64)>,
}

impl Home {
    fn take(&mut self, Letter { from, number, request }: Letter) -> Option<(u16, Reply)> {
        match request {
            Request::Append(group) => self.groups.push((from, number, group)),
            Request::Read { .. } | Request::ReadOn => self.asked.push((from, number)),
            Request::Cancel => {
                self.asked.retain(|asked| *asked != (from, number));
                return Some((from, Reply { number, answer: Answer::Cancelled }));
            }
        }
        None
    }

    fn answer(&mut self, random: &mut fastrand::Rng) -> Option<(u16, Reply)> {
        if random.bool() && !self.groups.is_empty() {
            let (from, number, group) = self.groups.swap_remove(random.usize(0..self.groups.len()));
            return Some((
                from,
                Reply { number, answer: Answer::Settled { group, outcome: Ok(()) } },
            ));
        }
        let at = (!self.asked.is_empty()).then(|| random.usize(0..self.asked.len()))?;
        let (from, number) = self.asked.swap_remove(at);
        let found = Ok(OwnedFound::empty(random.bool()));
        Some((from, Reply { number, answer: Answer::Found(Box::new((found, None))) }))
    }
}

#[test]
fn everything_that_may_be_under_way_has_a_place() {
    const CORES: u16 = 3;
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let exchange = Exchange::new(CORES);
        let mut asking: Vec<_> = (0..CORES).map(|_| Asking::new(CORES)).collect();
        let mut homes: Vec<_> = (0..CORES).map(|_| Home::default()).collect();
        let mut readings: BTreeMap<(u16, u64), bool> = BTreeMap::new();
        for step in 0..20_000 {
            // For long whiles nobody answers, or nobody looks at the answers.
            let (serves, collects) = (step / 3_000 % 3 != 0, step / 4_000 % 3 != 1);
            let core = random.u16(0..CORES);
            let here = &mut asking[usize::from(core)];
            let to = (core + random.u16(1..CORES)) % CORES;
            let send = |to, number, request| {
                let is_sent = exchange.send(to, Letter { from: core, number, request });
                assert!(is_sent, "seed {seed}, step {step}: a letter to {to} has no place");
            };
            match random.u8(0..12) {
                0..=3 if here.may_send(to, 64) => {
                    let number = here.send(to, 64, ticket());
                    send(to, number, Request::Append(Box::new(group(b"event"))));
                }
                4..=5 => {
                    let (number, _) = here.read(to, (1, 1), u64::MAX, ticket());
                    readings.insert((core, number), true);
                }
                6..=7 => {
                    let mine = readings.keys().filter(|(of, _)| *of == core).copied();
                    if let Some((of, number)) = random.choice(mine.collect::<Vec<_>>()) {
                        readings.remove(&(of, number));
                        if let Some(to) = here.cancel(number) {
                            send(to, number, Request::Cancel);
                        }
                    }
                }
                8..=9 if serves => {
                    let home = &mut homes[usize::from(core)];
                    let letter = exchange.next_letter(core);
                    let taken = letter.and_then(|letter| home.take(letter));
                    for (to, reply) in taken.into_iter().chain(home.answer(&mut random)) {
                        assert!(exchange.reply(to, reply), "seed {seed}: a reply has no place");
                    }
                }
                _ if collects => {
                    let mut redeemed = Vec::new();
                    while let Some(reply) = exchange.next_reply(core) {
                        let number = reply.number;
                        here.take(reply, &mut redeemed);
                        // A reader goes on as soon as it has something.
                        if readings.contains_key(&(core, number))
                            && let Ok(to) = here.read_on(number, ticket())
                        {
                            send(to, number, Request::ReadOn);
                        }
                    }
                }
                _ => {}
            }
            while let Some((to, number, request)) = asking[usize::from(core)].next_reading() {
                let is_sent = exchange.send(to, Letter { from: core, number, request });
                assert!(is_sent, "seed {seed}, step {step}: a reading has no place");
            }
        }
    }
}

#[test]
fn readers_that_try_a_core_which_has_ended_again_and_again_do_not_fill_its_queue() {
    let exchange = Exchange::new(2);
    let mut asking = Asking::new(2);
    exchange.close(1);
    for _ in 0..2_000 {
        let (read, _) = asking.read(1, (7, 7), u64::MAX, ticket());
        let (to, number, request) = asking.next_reading().expect("it may begin");
        assert_eq!((to, number), (1, read));
        assert!(exchange.send(to, Letter { from: 0, number, request }), "no place for {number}");
        let mut redeemed = Vec::new();
        asking.lose(1, &mut redeemed);
        assert_eq!(redeemed.len(), 1, "the reader is told");
    }
    assert!(!exchange.has_letters(1), "nobody would ever take them");
}

#[test]
fn letters_of_one_core_come_in_their_order_and_none_is_lost_between_threads() {
    const LETTERS: u64 = 20_000;
    let exchange = Exchange::new(3);
    let limit = Limits::of(3).groups as u64;
    std::thread::scope(|scope| {
        for from in [1, 2] {
            let exchange = &exchange;
            scope.spawn(move || {
                let (mut sent, mut replied) = (0, 0);
                while replied < LETTERS {
                    if sent < LETTERS && sent - replied < limit {
                        sent += 1;
                        let request = Request::ReadOn;
                        assert!(exchange.send(0, Letter { from, number: sent, request }));
                    }
                    while let Some(reply) = exchange.next_reply(from) {
                        replied += 1;
                        assert_eq!(reply.number, replied, "replies to core {from}");
                    }
                    std::thread::yield_now();
                }
            });
        }
        let mut last = [0; 3];
        while last[1] < LETTERS || last[2] < LETTERS {
            let Some(Letter { from, number, .. }) = exchange.next_letter(0) else {
                std::thread::yield_now();
                continue;
            };
            let last = &mut last[usize::from(from)];
            *last += 1;
            assert_eq!(number, *last, "letters of core {from}");
            assert!(exchange.reply(from, Reply { number, answer: Answer::Cancelled }));
        }
    });
}
