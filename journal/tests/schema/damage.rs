//! Damaged payloads are refused or harmless, never undefined.

use mainspring::frame::validation::DEPTH_LIMIT;
use mainspring_journal::schema::{EventBuffer, Events, Reader, SchemaError};
use proptest::prelude::*;
use proptest::sample::Index;
use rkyv::util::AlignedVec;

use crate::account::{AccountEvent, Part, Transferred, owned, samples};

/// Payloads with their readers: all current events.
fn payloads() -> Vec<(Reader, AlignedVec<16>)> {
    let payload = |event: AccountEvent| {
        let mut buffer = EventBuffer::new();
        event.write(&mut buffer).expect("room");
        let layout = AccountEvent::LAYOUTS[event.layout()];
        let reader = AccountEvent::reader(layout.name, layout.version, layout.fingerprint);
        (reader.expect("known"), aligned(buffer.as_slice()))
    };
    samples().into_iter().map(payload).collect()
}

fn aligned(bytes: &[u8]) -> AlignedVec<16> {
    let mut aligned = AlignedVec::new();
    aligned.extend_from_slice(bytes);
    aligned
}

/// Reads to the last byte whatever passes the check.
fn read_to_the_end(reader: Reader, payload: &[u8]) -> Result<usize, SchemaError> {
    let mut shown = 0;
    AccountEvent::read(reader, payload, &mut |event| {
        shown += format!("{event:?}{:?}", owned(event)).len();
    })?;
    Ok(shown)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6_000,
        rng_seed: proptest::test_runner::RngSeed::Fixed(4),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn changed_bytes_are_found_or_harmless(
        which: Index,
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        cut in 0_usize..20,
    ) {
        let mut payloads = payloads();
        let (reader, payload) = which.get_mut(&mut payloads);
        for (at, byte) in damage {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        let left = payload.len().saturating_sub(cut);
        if let Ok(shown) = read_to_the_end(*reader, &payload[..left]) {
            prop_assert!(shown > 0);
        }
    }
}

#[test]
fn any_flipped_bit_is_found_or_harmless() {
    for (reader, payload) in payloads() {
        for bit in 0..payload.len() * 8 {
            let mut damaged = aligned(&payload);
            damaged[bit / 8] ^= 1 << (bit % 8);
            _ = read_to_the_end(reader, &damaged);
        }
    }
}

#[test]
fn a_payload_that_is_not_aligned_is_refused() {
    let (reader, payload) = payloads().swap_remove(0);
    for shift in 1..16 {
        let mut shifted = aligned(&[0; 16][..shift]);
        shifted.extend_from_slice(&payload);
        let refusal = read_to_the_end(reader, &shifted[shift..]).expect_err("not aligned");
        let text = refusal.to_string();
        assert!(text.contains("does not start at a multiple of 16"), "{text}");
    }
}

#[test]
fn a_payload_that_is_cut_off_is_refused() {
    let (reader, payload) = payloads().swap_remove(0);
    for left in 0..payload.len() {
        assert!(read_to_the_end(reader, &payload[..left]).is_err(), "{left} bytes");
    }
}

#[test]
fn nesting_beyond_the_limit_is_refused() {
    // The event itself is a level, and so is its list of parts.
    let nested = |depth| {
        let part = (1..depth).fold(Part::Cash { cents: 1 }, |part, _| Part::Split(vec![part]));
        let event = AccountEvent::from(Transferred { parts: vec![part], labels: [].into() });
        let mut buffer = EventBuffer::new();
        event.write(&mut buffer).expect("room");
        let layout = AccountEvent::LAYOUTS[event.layout()];
        let reader = AccountEvent::reader(layout.name, layout.version, layout.fingerprint);
        let read = read_to_the_end(reader.expect("known"), buffer.as_slice()).map(|_| ());
        let mut applied = 0;
        let read_back = event.read_back(&mut EventBuffer::new(), &mut |_| applied += 1);
        assert_eq!((&read, applied), (&read_back, i32::from(read.is_ok())), "depth {depth}");
        read
    };
    assert_eq!(nested(DEPTH_LIMIT - 1), Ok(()));
    let refusal = nested(DEPTH_LIMIT).expect_err("too deep");
    assert!(refusal.to_string().contains("maximum subtree depth"), "{refusal}");
}
