//! Any sequence of operations of any sizes equals a queue.
//!
//! The model knows what is published, what is not, and how many bytes of the ring are taken, so it
//! also says when the ring must refuse and when it must not.

use super::boxed::tests::live_boxes;
use super::*;
use crate::frame::{HEADER_BYTES, Header, stride};
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Debug, Clone)]
enum Operation {
    Push { len: usize },
    ClaimAndCommit { claimed: usize, len: usize },
    ClaimAndDrop { claimed: usize },
    PushBoxed { len: usize },
    PushParcel,
    Mark,
    Rollback { mark: usize },
    Publish,
    Read { frames: usize },
    Release,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    prop_oneof![
        4 => (1_usize..300).prop_map(|len| Push { len }),
        3 => (1_usize..300, 1_usize..300)
            .prop_map(|(a, b)| ClaimAndCommit { claimed: a.max(b), len: a.min(b) }),
        1 => (0_usize..300).prop_map(|claimed| ClaimAndDrop { claimed }),
        1 => (1_usize..3_000).prop_map(|len| PushBoxed { len }),
        1 => Just(PushParcel),
        2 => Just(Mark),
        1 => (0_usize..8).prop_map(|mark| Rollback { mark }),
        3 => Just(Publish),
        3 => (1_usize..6).prop_map(|frames| Read { frames }),
        2 => Just(Release),
    ]
}

/// A frame as the model knows it.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    number: u32,
    /// `None` for a parcel.
    len: Option<usize>,
    /// Where its record ends.
    end: usize,
}

struct Model {
    capacity_bytes: usize,
    largest_payload_bytes: usize,
    published: VecDeque<Sent>,
    unpublished: Vec<Sent>,
    tail: usize,
    published_tail: usize,
    head: usize,
    released: usize,
    marks: Vec<(super::Mark, usize)>,
    next_number: u32,
}

impl Model {
    /// Where a record of this size starts, or why it must be refused.
    fn place(&self, payload_bytes: usize) -> Result<usize, FullReason> {
        if payload_bytes > self.largest_payload_bytes {
            return Err(FullReason::TooLarge);
        }
        let record_bytes = stride(payload_bytes);
        let lap_end = (self.tail / self.capacity_bytes + 1) * self.capacity_bytes;
        let crosses = self.tail + record_bytes > lap_end;
        let start = if crosses { lap_end } else { self.tail };
        if start + record_bytes + HEADER_BYTES > self.released + self.capacity_bytes {
            return Err(FullReason::NoRoom);
        }
        Ok(start)
    }

    fn append(&mut self, start: usize, len: Option<usize>, payload_bytes_in_ring: usize) {
        self.tail = start + stride(payload_bytes_in_ring);
        self.unpublished.push(Sent { number: self.next_number, len, end: self.tail });
        self.next_number += 1;
    }

    fn rollback(&mut self, limit: usize) {
        while self.unpublished.last().is_some_and(|sent| sent.end > limit) {
            self.unpublished.pop();
        }
        let last_end = self.unpublished.last().map_or(self.published_tail, |sent| sent.end);
        self.tail = self.tail.min(last_end);
    }

    fn publish(&mut self) -> bool {
        let any = !self.unpublished.is_empty();
        self.published.extend(self.unpublished.drain(..));
        self.published_tail = self.tail;
        any
    }
}

fn header(len: usize, number: u32) -> Header {
    Header::new(len as u32, 0, 0, 0, number, !number)
}

fn bytes(len: usize, number: u32) -> Vec<u8> {
    (0..len).map(|at| (at as u32 ^ number.wrapping_mul(31)) as u8).collect()
}

fn reason<T>(error: PushError<T>) -> FullReason {
    match error {
        PushError::Full(full) => full.reason,
        PushError::Header { error, .. } => panic!("a header was refused: {error}"),
    }
}

struct Run {
    model: Model,
    producer: Producer,
    consumer: Consumer,
}

impl Run {
    fn new(capacity_bytes: usize) -> Self {
        let (producer, consumer) = ring(capacity_bytes).unwrap();
        let model = Model {
            capacity_bytes,
            largest_payload_bytes: producer.largest_payload_bytes(),
            published: VecDeque::new(),
            unpublished: Vec::new(),
            tail: 0,
            published_tail: 0,
            head: 0,
            released: 0,
            marks: Vec::new(),
            next_number: 0,
        };
        Run { model, producer, consumer }
    }

    fn step(&mut self, operation: &Operation) -> Result<(), TestCaseError> {
        match *operation {
            Operation::Push { len } => self.push(len)?,
            Operation::ClaimAndCommit { claimed, len } => self.claim(claimed, Some(len))?,
            Operation::ClaimAndDrop { claimed } => self.claim(claimed, None)?,
            Operation::PushBoxed { len } => self.push_boxed(len)?,
            Operation::PushParcel => self.push_parcel()?,
            Operation::Mark => self.model.marks.push((self.producer.mark(), self.model.tail)),
            Operation::Rollback { mark } => self.rollback(mark),
            Operation::Publish => prop_assert_eq!(self.producer.publish(), self.model.publish()),
            Operation::Read { frames } => {
                for _ in 0..frames {
                    self.read()?;
                }
            }
            Operation::Release => {
                self.consumer.release();
                self.model.released = self.model.head;
            }
        }
        prop_assert_eq!(self.producer.unpublished(), !self.model.unpublished.is_empty());
        prop_assert_eq!(self.consumer.is_empty(), self.model.published.is_empty());
        Ok(())
    }

    fn push(&mut self, len: usize) -> Result<(), TestCaseError> {
        let (place, number) = (self.model.place(len), self.model.next_number);
        let pushed = self.producer.push(header(len, number), &bytes(len, number));
        prop_assert_eq!(pushed.map_err(reason), place.map(|_| ()));
        if let Ok(start) = place {
            self.model.append(start, Some(len), len);
        }
        Ok(())
    }

    fn claim(&mut self, claimed: usize, len: Option<usize>) -> Result<(), TestCaseError> {
        let (place, number) = (self.model.place(claimed), self.model.next_number);
        let claim = self.producer.claim(claimed);
        prop_assert_eq!(claim.as_ref().map(|_| ()).map_err(|full| full.reason), place.map(|_| ()));
        if let (Ok(mut claim), Ok(start)) = (claim, place) {
            prop_assert!(claim.payload().len() >= claimed);
            claim.payload().fill(0xEE);
            if let Some(len) = len {
                claim.payload()[..len].copy_from_slice(&bytes(len, number));
                prop_assert!(claim.commit(header(len, number)).is_ok());
                self.model.append(start, Some(len), len);
            }
        }
        Ok(())
    }

    fn push_boxed(&mut self, len: usize) -> Result<(), TestCaseError> {
        let (place, number) = (self.model.place(16), self.model.next_number);
        let mut payload = BoxedPayload::zeroed(len).unwrap();
        payload.as_mut_slice().copy_from_slice(&bytes(len, number));
        let pushed = self.producer.push_boxed(header(len, number), payload);
        prop_assert_eq!(pushed.map_err(reason), place.map(|_| ()));
        if let Ok(start) = place {
            self.model.append(start, Some(len), 16);
        }
        Ok(())
    }

    fn push_parcel(&mut self) -> Result<(), TestCaseError> {
        let (place, number) = (self.model.place(16), self.model.next_number);
        let pushed = self.producer.push_parcel(header(1, number), Box::new(number));
        prop_assert_eq!(pushed.map_err(reason), place.map(|_| ()));
        if let Ok(start) = place {
            self.model.append(start, None, 16);
        }
        Ok(())
    }

    /// To any mark ever made, also one that is stale or lies inside a frame by now.
    fn rollback(&mut self, mark: usize) {
        if self.model.marks.is_empty() {
            return;
        }
        let (mark, position) = self.model.marks[self.model.marks.len().saturating_sub(mark + 1)];
        self.producer.rollback(mark);
        self.model.rollback(position);
    }

    fn read(&mut self) -> Result<(), TestCaseError> {
        let expected = self.model.published.pop_front();
        let frame = self.consumer.next_frame();
        prop_assert_eq!(frame.is_some(), expected.is_some());
        if let (Some(frame), Some(sent)) = (frame, expected) {
            let header = frame.header();
            prop_assert_eq!((header.slot(), header.generation()), (sent.number, !sent.number));
            match sent.len {
                Some(len) => prop_assert_eq!(frame.payload(), bytes(len, sent.number)),
                None => {
                    let parcel = frame.take_parcel().and_then(|parcel| parcel.downcast().ok());
                    prop_assert_eq!(parcel, Some(Box::new(sent.number)));
                }
            }
            self.model.head = sent.end;
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn any_sequence_of_operations_equals_a_queue(
        capacity_shift in 6_u32..12,
        operations in prop::collection::vec(operation(), 1..200),
    ) {
        let before = live_boxes();
        let mut run = Run::new(1 << capacity_shift);
        for operation in &operations {
            run.step(operation)?;
        }
        drop(run);
        prop_assert_eq!(live_boxes(), before, "boxed payloads leaked or were freed twice");
    }
}
