//! What two threads share: a byte ring from one to the other, and the flag by which a sleeping one
//! is woken.
//!
//! A ring carries [frames](crate::frame) of any size from one [`Producer`] to one [`Consumer`], in
//! order, without locks, without a read-modify-write instruction and, once made, without
//! allocating. It can be used on its own:
//!
//! ```
//! use mainspring::frame::Header;
//! use mainspring::ring::ring;
//!
//! let (mut producer, mut consumer) = ring(64 * 1024)?;
//!
//! let receiver = std::thread::spawn(move || {
//!     let (mut frames, mut bytes) = (0, 0);
//!     while frames < 1_000 {
//!         while let Some(frame) = consumer.next_frame() {
//!             frames += 1;
//!             bytes += frame.payload().len(); // read in place
//!         }
//!         consumer.release(); // the space may be used again
//!         std::thread::yield_now();
//!     }
//!     bytes
//! });
//!
//! for number in 0..1_000_u32 {
//!     // Len, port, kind, flags; slot, generation.
//!     let header = Header::new(4, 0, 0, 0, number, 1);
//!     while producer.push(header, &number.to_le_bytes()).is_err() {
//!         producer.publish(); // full: the receiver has to see what there is
//!         std::thread::yield_now();
//!     }
//!     if number % 64 == 63 {
//!         producer.publish(); // one publication for 64 frames
//!     }
//! }
//! producer.publish();
//! assert_eq!(receiver.join().unwrap(), 4_000);
//! # Ok::<(), mainspring::ring::CapacityError>(())
//! ```
//!
//! **Promises.** Frames arrive whole, once, in order. A frame is visible only after
//! [`Producer::publish`], together with all frames of its batch; until then [`Producer::rollback`]
//! takes it back. A full ring says so ([`Full`]) and never waits. Whatever a record owns is freed,
//! however the ring ends.
//!
//! **Refusals.** A ring never grows, never blocks, never drops a published frame, and knows nothing
//! of who reads it when: waking a sleeping reader is [`WakeFlag`]'s part.
//!
//! **In-band publication.** The consumer polls the first word of the record at its head, so the
//! cache line that says "there is something" is the line that holds it. The producer writes a
//! batch, a 0 behind it, and last the batch's first word, by a release store. A published index
//! would move a second line for every batch. The consumer's index goes back only when it calls
//! [`Consumer::release`], and the producer looks at it only when its known space is used up.
//!
//! **Records.** A record is a header and a payload, padded to 16 bytes. A record that would cross
//! the end of the ring starts over at the beginning, behind a padding record. Room for the 0 behind
//! the batch is part of every claim. Payloads over [`Producer::largest_payload_bytes`] travel boxed
//! ([`BoxedPayload`]), owned values as a [`Parcel`].

mod boxed;
mod consumer;
mod error;
mod first_touch;
mod memory;
mod producer;
mod sync;
pub mod wake;

pub use boxed::{
    BOXED_LIMIT_BYTES, BoxedPayload, BoxedPayloadError, FLAG_BOXED, FLAG_PARCEL, Parcel,
};
pub use consumer::{Consumer, Frame};
pub use error::{CapacityError, Full, FullReason, HeaderError, PushError};
pub use producer::{Claim, Mark, Producer};
pub use wake::WakeFlag;

use boxed::{Owned, flags_of_owner};
use crossbeam_utils::CachePadded;
use first_touch::FirstTouch;
use memory::Memory;
use producer::record_bytes;
use sync::{Arc, AtomicBool, AtomicU64, Ordering};

/// The smallest ring: two frames of 16 bytes.
pub const SMALLEST_CAPACITY_BYTES: usize = 64;

/// The largest ring: 1 GiB.
pub const LARGEST_CAPACITY_BYTES: usize = 1 << 30;

/// Header kind of the ring's own padding records. No frame may be pushed with it, and none that is
/// read has it.
pub const KIND_PADDING: u8 = 0xFF;

/// Both flags of the ring: so one test finds its own records, padding too.
const PADDING_FLAGS: u8 = FLAG_BOXED | FLAG_PARCEL;

/// Makes a ring of `capacity_bytes`: a power of two from [`SMALLEST_CAPACITY_BYTES`] to
/// [`LARGEST_CAPACITY_BYTES`]. From 4096 on it is aligned to pages, which are placed where they are
/// first touched: see [`Consumer::touch`].
///
/// # Errors
/// Another capacity, or no memory. Nothing is allocated then.
pub fn ring(capacity_bytes: usize) -> Result<(Producer, Consumer), CapacityError> {
    let supported = SMALLEST_CAPACITY_BYTES..=LARGEST_CAPACITY_BYTES;
    if !capacity_bytes.is_power_of_two() || !supported.contains(&capacity_bytes) {
        return Err(CapacityError::Unsupported { capacity_bytes });
    }
    let shared = Arc::new(Shared {
        consumer: CachePadded::new(ConsumerLine {
            head: AtomicU64::new(0),
            boxed_bytes_freed: AtomicU64::new(0),
            gone: AtomicBool::new(false),
        }),
        producer: CachePadded::new(ProducerLine { gone: AtomicBool::new(false) }),
        first_touch: FirstTouch::new(),
        memory: Memory::zeroed(capacity_bytes)?,
    });
    Ok((Producer::new(shared.clone()), Consumer::new(shared)))
}

/// What both sides hold.
struct Shared {
    consumer: CachePadded<ConsumerLine>,
    producer: CachePadded<ProducerLine>,
    first_touch: FirstTouch,
    memory: Memory,
}

/// Written by the consumer alone.
struct ConsumerLine {
    /// What lies before belongs to the producer.
    head: AtomicU64,
    /// Bytes of all boxed payloads that the consumer has freed.
    boxed_bytes_freed: AtomicU64,
    gone: AtomicBool,
}

/// Written by the producer alone.
struct ProducerLine {
    gone: AtomicBool,
}

impl Drop for Shared {
    /// Frees what the published records own that nobody has read.
    fn drop(&mut self) {
        let region = self.memory.region();
        let mut position = self.consumer.head.load(Ordering::Acquire);
        loop {
            // SAFETY: both sides are gone, so all bytes are ours; from the consumer's last head on
            // there are records up to a 0.
            let word0 = unsafe { region.load_word0(position) };
            if word0 == 0 {
                return;
            }
            // SAFETY: as above; each record is visited once.
            if let Some(owned) = unsafe { Owned::take(region.address(position), word0) } {
                owned.discard();
            }
            position += record_bytes(word0);
        }
    }
}

#[inline]
fn is_padding(word0: u64) -> bool {
    flags_of_owner(word0) == PADDING_FLAGS
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod model_tests;
#[cfg(all(test, not(loom)))]
mod tests;
