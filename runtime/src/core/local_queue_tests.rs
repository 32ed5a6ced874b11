//! The local queue against a model: any sequence of writes, publications, rollbacks and reads.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Payload bytes to write, and how many of the room that is asked for stay unused.
    Push {
        bytes: usize,
        unused: usize,
    },
    Publish,
    Rollback,
    Read,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..300usize, 0..64usize).prop_map(|(bytes, unused)| Step::Push { bytes, unused }),
        2 => (1..LARGEST_PAYLOAD_BYTES, 0..64usize)
            .prop_map(|(bytes, unused)| Step::Push { bytes, unused }),
        2 => Just(Step::Publish),
        1 => Just(Step::Rollback),
        4 => Just(Step::Read),
    ];
    proptest::collection::vec(step, 1..400)
}

/// Writes `bytes` bytes that follow from `tag`.
fn push(queue: &mut LocalQueue, tag: u64, bytes: usize, unused: usize) -> Result<(), PushError> {
    queue.push_with(0, tag, bytes + unused, |room| {
        let room = room.get_mut(..bytes).ok_or(())?;
        room.fill(tag as u8);
        Ok::<_, ()>(bytes)
    })
}

/// The tag and length of a frame, after a look at each of its bytes.
fn content(frame: RawFrame) -> (u64, usize) {
    let (tag, bytes) = (frame.header.word1, frame.header.len() as usize);
    // SAFETY: the queue gave the frame just now, and nothing was written or read since.
    let payload = unsafe { std::slice::from_raw_parts(frame.payload, bytes) };
    assert!(payload.iter().all(|byte| *byte == tag as u8), "frame {tag} is torn");
    assert_eq!(frame.payload as usize % 16, 0, "frame {tag} is not aligned");
    (tag, bytes)
}

proptest! {
    #[test]
    fn any_sequence_of_writes_rollbacks_and_reads_equals_a_deque(
        steps in steps(),
        limit_chunks in 2..6usize,
    ) {
        let mut queue = LocalQueue::new(limit_chunks);
        let (mut published, mut written) = (VecDeque::new(), VecDeque::new());
        for (tag, step) in steps.into_iter().enumerate() {
            let tag = tag as u64;
            match step {
                Step::Push { bytes, unused } => match push(&mut queue, tag, bytes, unused) {
                    Ok(()) => written.push_back((tag, bytes)),
                    Err(error) => {
                        prop_assert_eq!(error, PushError::Full);
                        prop_assert_eq!(queue.chunks.len(), limit_chunks);
                    }
                },
                Step::Publish => {
                    queue.publish();
                    published.append(&mut written);
                }
                Step::Rollback => {
                    queue.rollback();
                    written.clear();
                }
                Step::Read => {
                    prop_assert_eq!(queue.next().map(content), published.pop_front());
                }
            }
            let unpublished: Vec<_> = queue.unpublished().into_iter().map(content).collect();
            prop_assert_eq!(unpublished, written.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(queue.is_empty(), published.is_empty());
            prop_assert!(queue.chunks.len() <= limit_chunks);
        }
        queue.publish();
        published.append(&mut written);
        while let Some(expected) = published.pop_front() {
            prop_assert_eq!(queue.next().map(content), Some(expected));
        }
        prop_assert!(queue.next().is_none());
    }
}

#[test]
fn a_queue_at_its_limit_refuses_and_takes_again_what_was_read() {
    let mut queue = LocalQueue::new(2);
    let mut written = 0;
    while push(&mut queue, written, 1_000, 0).is_ok() {
        written += 1;
    }
    queue.publish();
    assert_eq!(push(&mut queue, written, 1_000, 0), Err(PushError::Full));
    // The first chunk is free when the reader has left it.
    while queue.chunks.len() == 2 {
        assert!(queue.next().is_some());
    }
    assert_eq!(push(&mut queue, written, 1_000, 0), Ok(()));
}

#[test]
fn a_payload_that_does_not_fit_its_room_or_a_chunk_is_an_overflow_and_changes_nothing() {
    let mut queue = LocalQueue::new(2);
    let overflow = queue.push_with(0, 1, 16, |_| Err::<usize, _>(()));
    assert_eq!(overflow, Err(PushError::Overflow));
    assert_eq!(push(&mut queue, 2, CHUNK_BYTES * 2, 0), Err(PushError::Overflow));
    assert!(queue.unpublished().is_empty());
    assert_eq!(push(&mut queue, 3, 24, 0), Ok(()));
    queue.publish();
    assert_eq!(queue.next().map(content), Some((3, 24)));
}

#[test]
fn a_turn_that_fails_gives_its_chunks_back() {
    let mut queue = LocalQueue::new(64);
    for round in 0..100 {
        for _ in 0..200 {
            assert_eq!(push(&mut queue, round, 1_000, 0), Ok(()));
        }
        queue.rollback();
        assert_eq!(queue.chunks.len(), 1);
    }
    assert!(queue.spare.len() < 64, "chunks are used again");
}
