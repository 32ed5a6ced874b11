//! A message inside another one, as bytes: for those who pass messages on without reading them.
//!
//! A router, a buffer, or whoever stands before actors that are not there yet takes messages whose type it knows but
//! whose contents are none of its business. [`Enclosed`] holds the archive of such a message. It is a field of the
//! message that carries it, and [`Context::tell_enclosed`](crate::Context::tell_enclosed) sends what is in it to the
//! actor that it is for: the bytes are copied, nothing is read or written anew.
//!
//! Invariants: the bytes are an archive of `M`, written by this process or checked when they came from another node;
//! they start at a multiple of [`FRAME_ALIGN`] wherever they lie. A message cannot enclose itself, through others
//! either: the compiler refuses it, so enclosed messages are nested no deeper than their types.

use std::fmt;
use std::marker::PhantomData;

use rkyv::bytecheck::{CheckBytes, Verify};
use rkyv::rancor::Fallible;
use rkyv::rend::u32_le;
use rkyv::ser::{Allocator, Writer};
use rkyv::traits::{CopyOptimization, NoUndef};
use rkyv::vec::{ArchivedVec, VecResolver};
use rkyv::{Archive, Deserialize, Place, Portable, Serialize};

use super::FRAME_ALIGN;
use super::archive::{self, TooLarge};
use super::validation::{self, WireChecker};
use crate::message::{Fingerprint, Message, Schema};

/// Where [`Enclosed::of`] writes first, in bytes: most messages fit.
const SCRATCH_BYTES: usize = 512;

/// An archived `M` that a message carries.
///
/// ```
/// use mainspring::prelude::*;
///
/// #[message]
/// struct Reading {
///     celsius: i32,
/// }
///
/// #[message]
/// struct Forward {
///     device: u64,
///     reading: Enclosed<Reading>,
/// }
///
/// struct Gate {
///     devices: Vec<ActorRef<Reading>>,
/// }
///
/// impl Actor for Gate {
///     type Message = Forward;
///
///     fn receive(&mut self, ctx: &mut Context<Self>, message: &Archived<Forward>) -> Next<Self> {
///         if let Some(device) = self.devices.get(message.device.to_native() as usize) {
///             ctx.tell_enclosed(*device, message.reading.view());
///         }
///         Next::Same
///     }
/// }
/// # let enclosed = Enclosed::of(&Reading { celsius: 21 })?;
/// # assert_eq!(enclosed.view().read().celsius, 21);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Enclosed<M> {
    blocks: Vec<Block>,
    payload_bytes: u32,
    message: PhantomData<fn() -> M>,
}

/// The form of an [`Enclosed`] in an archive.
#[derive(CheckBytes)]
#[bytecheck(crate = rkyv::bytecheck, verify)]
#[repr(C)]
pub struct ArchivedEnclosed<M> {
    blocks: ArchivedVec<Block>,
    payload_bytes: u32_le,
    message: PhantomData<fn() -> M>,
}

/// A look at an enclosed message, wherever it lies.
pub struct EnclosedView<'a, M> {
    payload: &'a [u8],
    message: PhantomData<fn() -> M>,
}

impl<M: Message> Enclosed<M> {
    /// Encloses a message.
    ///
    /// # Errors
    /// [`TooLarge`]: it takes more than a message may.
    pub fn of(message: &M) -> Result<Self, TooLarge> {
        let mut scratch = [Block([0; FRAME_ALIGN]); SCRATCH_BYTES / FRAME_ALIGN];
        if let Ok(payload_bytes) = archive::write(message, bytes_of_mut(&mut scratch)) {
            let blocks = payload_bytes.div_ceil(FRAME_ALIGN);
            return Ok(Enclosed::from_blocks(scratch[..blocks].to_vec(), payload_bytes as u32));
        }
        let limit_bytes = u32::MAX as usize >> 1;
        let boxed = archive::write_boxed(message, limit_bytes)?;
        Ok(Enclosed::from_payload(boxed.as_slice()))
    }
}

impl<M> Enclosed<M> {
    fn from_blocks(blocks: Vec<Block>, payload_bytes: u32) -> Self {
        Enclosed { blocks, payload_bytes, message: PhantomData }
    }

    /// A copy of bytes that hold the invariant.
    fn from_payload(payload: &[u8]) -> Self {
        let mut blocks = vec![Block([0; FRAME_ALIGN]); payload.len().div_ceil(FRAME_ALIGN)];
        bytes_of_mut(&mut blocks)[..payload.len()].copy_from_slice(payload);
        Enclosed::from_blocks(blocks, payload.len() as u32)
    }

    /// What is in it.
    pub fn view(&self) -> EnclosedView<'_, M> {
        EnclosedView {
            payload: &bytes_of(&self.blocks)[..self.payload_bytes as usize],
            message: PhantomData,
        }
    }
}

impl<M> ArchivedEnclosed<M> {
    /// What is in it.
    pub fn view(&self) -> EnclosedView<'_, M> {
        let length = self.payload_bytes.to_native() as usize;
        EnclosedView { payload: &bytes_of(self.blocks.as_slice())[..length], message: PhantomData }
    }
}

impl<'a, M> EnclosedView<'a, M> {
    /// Its archive.
    pub fn bytes(self) -> &'a [u8] {
        self.payload
    }

    /// A copy that can be kept.
    pub fn keep(self) -> Enclosed<M> {
        Enclosed::from_payload(self.payload)
    }
}

impl<'a, M: Message> EnclosedView<'a, M> {
    /// The message.
    pub fn read(self) -> &'a M::Archived {
        // SAFETY: the bytes are an aligned archive of `M`, borrowed for `'a`.
        unsafe { archive::root::<M>(self.payload.as_ptr(), self.payload.len()) }
    }
}

impl<M> Clone for EnclosedView<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for EnclosedView<'_, M> {}

impl<M> fmt::Debug for EnclosedView<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnclosedView").field("bytes", &self.payload.len()).finish()
    }
}

impl<M> Clone for Enclosed<M> {
    fn clone(&self) -> Self {
        Enclosed::from_blocks(self.blocks.clone(), self.payload_bytes)
    }
}

impl<M> fmt::Debug for Enclosed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enclosed").field("bytes", &self.payload_bytes).finish()
    }
}

impl<M> fmt::Debug for ArchivedEnclosed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchivedEnclosed").field("bytes", &self.payload_bytes).finish()
    }
}

// SAFETY: the archive is a vector of blocks, which are plain bytes, and a number.
unsafe impl<M: Schema> Schema for Enclosed<M> {
    const NAME: &'static str = "Enclosed";
    const FINGERPRINT: u64 = Fingerprint::of("Enclosed").part(M::FINGERPRINT).value();
}

// SAFETY: `repr(C)` of portable fields and a marker without bytes.
unsafe impl<M> Portable for ArchivedEnclosed<M> {}

impl<M> Archive for Enclosed<M> {
    type Archived = ArchivedEnclosed<M>;
    type Resolver = VecResolver;

    fn resolve(&self, resolver: VecResolver, out: Place<Self::Archived>) {
        rkyv::munge::munge!(let ArchivedEnclosed { blocks, payload_bytes, .. } = out);
        ArchivedVec::resolve_from_len(self.blocks.len(), resolver, blocks);
        payload_bytes.write(u32_le::from_native(self.payload_bytes));
    }
}

impl<M, S: Fallible + Writer + Allocator + ?Sized> Serialize<S> for Enclosed<M> {
    fn serialize(&self, serializer: &mut S) -> Result<VecResolver, S::Error> {
        ArchivedVec::serialize_from_slice(&self.blocks, serializer)
    }
}

impl<M, D: Fallible + ?Sized> Deserialize<Enclosed<M>, D> for ArchivedEnclosed<M> {
    fn deserialize(&self, _: &mut D) -> Result<Enclosed<M>, D::Error> {
        Ok(self.view().keep())
    }
}

// SAFETY: it passes only what is an archive of `M`, which is what the invariant asks for.
unsafe impl<M: Message> Verify<WireChecker<'_>> for ArchivedEnclosed<M> {
    fn verify(&self, checker: &mut WireChecker<'_>) -> Result<(), validation::Reason> {
        let length = self.payload_bytes.to_native() as usize;
        let payload = bytes_of(self.blocks.as_slice()).get(..length);
        let payload =
            payload.ok_or_else(|| validation::Reason::of("an enclosed length out of bounds"))?;
        // SAFETY: whoever checks the message around it vouches for the references in it, here as well.
        match unsafe { validation::check::<M>(payload, checker.references()) } {
            Ok(_) => Ok(()),
            Err(malformed) => Err(malformed.reason),
        }
    }
}

/// Sixteen bytes of an archive, aligned as archives are.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Block([u8; FRAME_ALIGN]);

const _: () = assert!(size_of::<Block>() == FRAME_ALIGN && align_of::<Block>() == FRAME_ALIGN);

fn bytes_of(blocks: &[Block]) -> &[u8] {
    // SAFETY: blocks are bytes without padding, and bytes need no alignment.
    unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), size_of_val(blocks)) }
}

fn bytes_of_mut(blocks: &mut [Block]) -> &mut [u8] {
    // SAFETY: as above, and any bytes are blocks.
    unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), size_of_val(blocks)) }
}

// SAFETY: an array of bytes is the same everywhere.
unsafe impl Portable for Block {}
// SAFETY: every byte of it is initialised, none is padding.
unsafe impl NoUndef for Block {}

impl Archive for Block {
    // SAFETY: the type is its own archived form and has no undefined bytes.
    const COPY_OPTIMIZATION: CopyOptimization<Self> = unsafe { CopyOptimization::enable() };
    type Archived = Self;
    type Resolver = ();

    fn resolve(&self, (): (), out: Place<Self>) {
        out.write(*self);
    }
}

impl<S: Fallible + ?Sized> Serialize<S> for Block {
    fn serialize(&self, _: &mut S) -> Result<(), S::Error> {
        Ok(())
    }
}

// SAFETY: any bytes are a block.
unsafe impl<C: Fallible + ?Sized> CheckBytes<C> for Block {
    unsafe fn check_bytes(_: *const Self, _: &mut C) -> Result<(), C::Error> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "enclosed_tests.rs"]
mod tests;
