//! What is enclosed comes out as it went in, and foreign bytes are checked inside and out.

use crate::frame::validation::Believing;
use proptest::prelude::*;

use super::*;
use crate::frame::AlignedBuffer;
use crate::frame::archive::write_boxed;
use crate::message::owned;
use crate::prelude::*;

#[message(name = "test.parcel")]
#[derive(Debug, Clone, PartialEq)]
struct Parcel {
    text: String,
    numbers: Vec<u128>,
}

#[message(name = "test.wrapping")]
struct Wrapping {
    before: u8,
    parcel: Enclosed<Parcel>,
    behind: String,
}

fn wrapped(parcel: &Parcel) -> AlignedBuffer {
    let parcel = Enclosed::of(parcel).expect("small enough");
    let wrapping = Wrapping { before: 7, parcel, behind: "behind".to_owned() };
    write_boxed(&wrapping, 1 << 20).expect("small enough")
}

proptest! {
    #[test]
    fn an_enclosed_message_is_read_where_it_lies(
        text in ".{0,900}",
        numbers in prop::collection::vec(any::<u128>(), 0..40),
    ) {
        let parcel = Parcel { text, numbers };
        let bytes = wrapped(&parcel);
        // SAFETY: the bytes were written by this test.
        let wrapping = unsafe { validation::check::<Wrapping>(bytes.as_slice(), &Believing) }.expect("whole");
        prop_assert_eq!((wrapping.before, wrapping.behind.as_str()), (7, "behind"));
        let view = wrapping.parcel.view();
        prop_assert!(view.bytes().as_ptr().addr().is_multiple_of(FRAME_ALIGN));
        prop_assert_eq!(&owned::<Parcel>(view.read()).expect("owned"), &parcel);
        prop_assert_eq!(&owned::<Parcel>(view.keep().view().read()).expect("owned"), &parcel);
        // The same bytes as those of a message that was never enclosed.
        let plain = write_boxed(&parcel, 1 << 20).expect("small enough");
        prop_assert_eq!(view.bytes(), plain.as_slice());
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_whole(at in 0usize..400, bit in 0u8..8) {
        let mut bytes = wrapped(&Parcel { text: "a text out of line".to_owned(), numbers: vec![1, 2, 3] });
        let length = bytes.as_slice().len();
        bytes.as_mut_slice()[at % length] ^= 1 << bit;
        // SAFETY: no reference is in the bytes.
        if let Ok(wrapping) = unsafe { validation::check::<Wrapping>(bytes.as_slice(), &Believing) } {
            let parcel = wrapping.parcel.view().read();
            let _ = (parcel.text.as_str().chars().count(), parcel.numbers.iter().count());
        }
    }
}

#[test]
fn an_enclosed_length_behind_its_blocks_is_refused() {
    let mut bytes = wrapped(&Parcel { text: String::new(), numbers: Vec::new() });
    let length = 16u32.to_le_bytes();
    let places: Vec<usize> = bytes
        .as_slice()
        .windows(4)
        .enumerate()
        .filter(|(_, four)| *four == length)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "the length of an empty parcel is 16 bytes");
    let mut refused = 0;
    for at in places {
        let old = bytes.as_slice()[at];
        bytes.as_mut_slice()[at] = 200;
        // SAFETY: no reference is in the bytes.
        refused += usize::from(
            unsafe { validation::check::<Wrapping>(bytes.as_slice(), &Believing) }.is_err(),
        );
        bytes.as_mut_slice()[at] = old;
    }
    assert!(refused > 0, "a length of 200 bytes in one block passed");
}
