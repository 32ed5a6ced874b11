//! How references and local payloads lie in an archive: as their own two words, or as one handle.
//!
//! They have no `CheckBytes` on purpose: see [`crate::address`].

use rkyv::rancor::Fallible;
use rkyv::traits::{CopyOptimization, NoUndef};
use rkyv::{Archive, Deserialize, Place, Serialize};

use super::archive::LocalRefusal;
use super::local::ArchivedLocal;
use super::serializer::LocalSerializer;
use crate::address::{ActorRef, LocalRef};

macro_rules! archives_as_itself {
    ($name:ident) => {
        // SAFETY: `repr(C)` of two `u64_le` words and a zero-sized marker: every byte is initialised, none is
        // padding.
        unsafe impl<M: ?Sized> NoUndef for $name<M> {}

        impl<M: ?Sized> Archive for $name<M> {
            // SAFETY: the type is its own archived form and has no undefined bytes.
            const COPY_OPTIMIZATION: CopyOptimization<Self> = unsafe { CopyOptimization::enable() };
            type Archived = Self;
            type Resolver = ();

            #[inline(always)]
            fn resolve(&self, (): (), out: Place<Self>) {
                out.write(*self);
            }
        }

        impl<M: ?Sized, D: Fallible + ?Sized> Deserialize<$name<M>, D> for $name<M> {
            #[inline(always)]
            fn deserialize(&self, _: &mut D) -> Result<$name<M>, D::Error> {
                Ok(*self)
            }
        }
    };
}

archives_as_itself!(ActorRef);
archives_as_itself!(LocalRef);

impl<M: ?Sized, S: Fallible + ?Sized> Serialize<S> for ActorRef<M> {
    #[inline(always)]
    fn serialize(&self, _: &mut S) -> Result<(), S::Error> {
        Ok(())
    }
}

/// By the local serializer only: on another node the reference would name something else.
impl<'a, M: ?Sized> Serialize<LocalSerializer<'a>> for LocalRef<M> {
    #[inline(always)]
    fn serialize(&self, _: &mut LocalSerializer<'a>) -> Result<(), LocalRefusal> {
        Ok(())
    }
}

// SAFETY: `repr(C)` of one `u64_le` and a zero-sized marker: every byte is initialised, none is padding.
unsafe impl<T> NoUndef for ArchivedLocal<T> {}
