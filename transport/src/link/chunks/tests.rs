//! Large messages through both halves, and pieces that no honest peer sends.

use proptest::prelude::*;

use super::*;

const SMALL: ChunkSettings =
    ChunkSettings { message_limit_bytes: 1_000, piece_limit_bytes: 64, budget_bytes: 1_500 };

fn take(reassembly: &mut Reassembly<u8>, piece: Piece<'_, u8>) -> Result<Progress<u8>, ChunkError> {
    match piece.offset_bytes {
        0 => reassembly.first(piece.head, piece.whole.len() as u32, piece.bytes),
        _ => reassembly.next(piece.bytes),
    }
}

/// Carries every piece over; the messages that came out whole.
fn carry(
    outgoing: &mut Outgoing<u8, Vec<u8>>,
    reassembly: &mut Reassembly<u8>,
) -> Vec<(u8, Vec<u8>)> {
    let mut messages = Vec::new();
    while let Some(piece) = outgoing.next_piece() {
        let progress = take(reassembly, piece);
        if let Progress::Whole(whole) = progress.expect("an honest peer") {
            messages.push((whole.head, whole.bytes.as_slice().to_vec()));
        }
    }
    messages
}

#[test]
fn a_message_of_sixteen_mebibytes_arrives_as_it_was() {
    let settings = ChunkSettings::default();
    let bytes: Vec<u8> = (0..settings.message_limit_bytes).map(|n| ((n * 31) >> 7) as u8).collect();
    let (mut outgoing, mut reassembly) = (Outgoing::new(settings), Reassembly::new(settings));
    outgoing.push(7, bytes.clone()).unwrap();
    let messages = carry(&mut outgoing, &mut reassembly);
    assert!(messages == [(7, bytes)], "{} messages, or other bytes", messages.len());
    assert_eq!(reassembly.reserved_bytes(), settings.message_limit_bytes);
    reassembly.release(settings.message_limit_bytes);
    assert_eq!((reassembly.reserved_bytes(), outgoing.waiting_bytes()), (0, 0));
}

#[test]
fn a_sender_refuses_what_no_receiver_takes_and_what_does_not_fit() {
    let mut outgoing = Outgoing::new(SMALL);
    let mut reason = |bytes: usize| outgoing.push(0, vec![1; bytes]).map_err(|r| r.reason);
    assert_eq!(reason(0), Err(OutgoingError::Empty));
    let too_large = OutgoingError::TooLarge { bytes: 1_001, limit_bytes: 1_000 };
    assert_eq!(reason(1_001), Err(too_large));
    assert_eq!(reason(1_000), Ok(()));
    let full = OutgoingError::Full { bytes: 501, waiting_bytes: 1_000, limit_bytes: 1_500 };
    assert_eq!(reason(501), Err(full));
    assert_eq!(reason(500), Ok(()));
}

#[test]
fn a_message_over_the_budget_is_refused_alone() {
    let mut reassembly = Reassembly::new(SMALL);
    let whole = |progress| matches!(progress, Ok(Progress::Whole(_)));
    for _ in 0..20 {
        assert!(whole(reassembly.first(1, 64, &[0; 64])));
    }
    let reason = ChunkRefusal::OverBudget {
        declared_bytes: 300,
        reserved_bytes: 1_280,
        budget_bytes: 1_500,
    };
    assert_eq!(reassembly.first(2, 300, &[0; 64]), Ok(Progress::Refused { head: 2, reason }));
    for _ in 0..3 {
        assert_eq!(reassembly.next(&[0; 64]), Ok(Progress::Discarded));
    }
    assert_eq!(reassembly.next(&[0; 44]), Ok(Progress::Discarded));
    assert_eq!((reassembly.refused_messages(), reassembly.discarded_bytes()), (1, 300));
    assert!(whole(reassembly.first(3, 64, &[0; 64])), "the next one fits");
    reassembly.release(21 * 64);
    assert_eq!(reassembly.first(4, 1_000, &[0; 64]), Ok(Progress::Begun));
}

#[test]
fn a_declaration_above_the_limit_reserves_nothing() {
    let mut reassembly = Reassembly::new(ChunkSettings::default());
    let progress = reassembly.first((), u32::MAX, &[0; 16]).unwrap();
    let refused =
        matches!(progress, Progress::Refused { reason: ChunkRefusal::TooLarge { .. }, .. });
    assert!(refused, "{progress:?}");
    assert_eq!(reassembly.reserved_bytes(), 0);
    assert_eq!(reassembly.next(&[0; 65_536]), Ok(Progress::Discarded));
}

#[test]
fn pieces_in_the_wrong_order_or_number_end_the_connection() {
    let mut reassembly = Reassembly::new(SMALL);
    assert_eq!(reassembly.next(&[1]), Err(ChunkError::NotBegun));
    let too_much = ChunkError::TooMuch { bytes: 3, missing_bytes: 2 };
    assert_eq!(reassembly.first((), 2, &[1; 3]), Err(too_much));
    let length = |bytes| ChunkError::PieceLength { bytes, limit_bytes: 64 };
    assert_eq!(reassembly.first((), 2, &[]), Err(length(0)));
    assert_eq!(reassembly.first((), 100, &[0; 65]), Err(length(65)));
    assert_eq!(reassembly.first((), 100, &[0; 60]), Ok(Progress::Begun));
    let unfinished = ChunkError::Unfinished { missing_bytes: 40 };
    assert_eq!(reassembly.first((), 100, &[0; 60]), Err(unfinished));
    let too_much = ChunkError::TooMuch { bytes: 41, missing_bytes: 40 };
    assert_eq!(reassembly.next(&[0; 41]), Err(too_much));
    assert_eq!(reassembly.next(&[]), Err(length(0)));
    assert!(matches!(reassembly.next(&[0; 40]), Ok(Progress::Whole(_))));
}

#[test]
fn a_connection_that_ends_takes_the_message_under_way_with_it_and_no_other() {
    let (mut outgoing, mut reassembly) = (Outgoing::new(SMALL), Reassembly::new(SMALL));
    outgoing.push(1, vec![1; 200]).unwrap();
    outgoing.push(2, vec![2; 200]).unwrap();
    for _ in 0..2 {
        take(&mut reassembly, outgoing.next_piece().unwrap()).unwrap();
    }
    assert_eq!(reassembly.reserved_bytes(), 200);
    assert_eq!(outgoing.disconnected(), Some((1, vec![1; 200])));
    assert_eq!(reassembly.disconnected(), 128);
    assert_eq!(reassembly.reserved_bytes(), 0);
    assert_eq!(outgoing.disconnected(), None, "the second was not begun");
    assert_eq!(carry(&mut outgoing, &mut reassembly), [(2, vec![2; 200])]);
    assert_eq!(outgoing.disconnected(), None, "it was sent to its end");
    assert!(outgoing.is_empty());
}

proptest! {
    #[test]
    fn messages_of_any_lengths_arrive_in_order(lengths in prop::collection::vec(1usize..=300, 1..6)) {
        let settings = ChunkSettings { piece_limit_bytes: 37, ..SMALL };
        let (mut outgoing, mut reassembly) = (Outgoing::new(settings), Reassembly::new(settings));
        let mut pushed = Vec::new();
        for (n, length) in (0u8..).zip(lengths) {
            let bytes: Vec<u8> = (0..length).map(|at| (at as u8) ^ n).collect();
            outgoing.push(n, bytes.clone()).unwrap();
            pushed.push((n, bytes));
        }
        let messages = carry(&mut outgoing, &mut reassembly);
        prop_assert_eq!(messages, pushed);
    }

    /// Pieces from anybody: an error or progress, never a panic, and never more memory than the budget.
    #[test]
    fn no_pieces_take_more_than_the_budget(
        pieces in prop::collection::vec((prop::option::of(0u32..1_600), 0usize..80), 0..200),
    ) {
        let mut reassembly = Reassembly::new(SMALL);
        for (declared, length) in pieces {
            let piece = vec![0; length];
            let progress = match declared {
                Some(total_bytes) => reassembly.first((), total_bytes, &piece),
                None => reassembly.next(&piece),
            };
            prop_assert!(reassembly.reserved_bytes() <= SMALL.budget_bytes);
            match progress {
                Ok(Progress::Whole(whole)) if length % 2 == 0 => reassembly.release(whole.bytes.as_slice().len()),
                Err(_) if length % 5 == 0 => {
                    reassembly.disconnected();
                }
                _ => {}
            }
        }
    }
}
