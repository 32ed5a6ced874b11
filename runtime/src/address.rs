//! References to actors: two words of plain data that name one life of one actor anywhere in the system.
//!
//! | bytes | word | fields |
//! |---|---|---|
//! | 0–7 | `to` | node (bits 0–31) · core (bits 32–47) · port (bits 48–63) |
//! | 8–15 | `me` | slot (bits 0–31) · generation (bits 32–63) |
//!
//! A reference archives as itself, so it travels inside messages and is used straight from the frame. It is two whole
//! words, not five fields, so that it travels in two registers and is never read in another width than it was
//! written.
//!
//! Invariants: only this crate makes references, so a typed reference names an actor (or a port, or an ask) that
//! accepts this very type. For the same reason none of them can be checked out of foreign bytes: they have no
//! `CheckBytes`, because a forged reference would let safe code pass one type off as another.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use rkyv::Portable;
use rkyv::rend::u64_le;

/// Cores from this number on are clients: threads outside the node's cores, each with lanes of its own.
pub const CLIENT_CORE_BASE: u16 = 0x8000;

/// The port of an ask's reply: the slot names an entry in the asking core's table of asks, not an actor.
pub const PORT_REPLY: u16 = 0xFFFF;

/// The port at which a core itself answers who has a name on its node.
pub(crate) const PORT_NAMES: u16 = 0xFFFE;

/// Names one life of one actor that accepts `M`, on this node or on another.
///
/// Plain data of 16 bytes: `Copy`, comparable, hashable, and `Send + Sync` whatever `M` is. It keeps nothing alive:
/// a message to an actor that is gone becomes a dead letter. Inside a message it is used in place.
///
/// It is shown as `node/core/slot#generation:port`, the node in hexadecimal.
#[derive(Portable)]
#[rkyv(crate = ::mainspring::rkyv)]
#[repr(C)]
pub struct ActorRef<M: ?Sized> {
    to: u64_le,
    me: u64_le,
    accepts: PhantomData<fn(M)>,
}

/// An [`ActorRef`] to an actor of this node, for messages that may not leave it.
///
/// Only such a reference accepts a message with a [`Local`](crate::message::Local) payload, and it can itself only be
/// part of such messages.
#[derive(Portable)]
#[rkyv(crate = ::mainspring::rkyv)]
#[repr(C)]
pub struct LocalRef<M: ?Sized> {
    to: u64_le,
    me: u64_le,
    accepts: PhantomData<fn(M)>,
}

/// What a reference names, without the type of message: for signals, logs, tables and comparisons.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    to: u64,
    me: u64,
}

const _: () = assert!(size_of::<ActorRef<u64>>() == 16 && align_of::<ActorRef<u64>>() == 8);
const _: () = assert!(size_of::<LocalRef<u64>>() == 16 && align_of::<LocalRef<u64>>() == 8);

impl Address {
    /// An address from its fields.
    #[inline]
    pub const fn new(node: u32, core: u16, port: u16, slot: u32, generation: u32) -> Self {
        Address {
            to: node as u64 | (core as u64) << 32 | (port as u64) << 48,
            me: slot as u64 | (generation as u64) << 32,
        }
    }

    /// An address from its two words.
    #[inline]
    pub const fn from_words(to: u64, me: u64) -> Self {
        Address { to, me }
    }

    /// The two words: where to, and who there.
    #[inline]
    pub const fn words(self) -> (u64, u64) {
        (self.to, self.me)
    }

    /// The node's incarnation: drawn anew at every start of a node.
    #[inline]
    pub const fn node(self) -> u32 {
        self.to as u32
    }

    /// The core of that node. From [`CLIENT_CORE_BASE`] on it is a client.
    #[inline]
    pub const fn core(self) -> u16 {
        (self.to >> 32) as u16
    }

    /// Which protocol of the actor; 0 is its own message type, [`PORT_REPLY`] the reply to an ask.
    #[inline]
    pub const fn port(self) -> u16 {
        (self.to >> 48) as u16
    }

    /// The actor's place in its core's table.
    #[inline]
    pub const fn slot(self) -> u32 {
        self.me as u32
    }

    /// Which life of that place.
    #[inline]
    pub const fn generation(self) -> u32 {
        (self.me >> 32) as u32
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:08x}/{}/{}#{}:{}",
            self.node(),
            self.core(),
            self.slot(),
            self.generation(),
            self.port()
        )
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// What both typed references can do. They are written once because nothing but their name differs.
macro_rules! typed_reference {
    ($name:ident) => {
        impl<M: ?Sized> $name<M> {
            /// A typed reference from its words. The caller vouches that the receiver accepts `M`.
            #[inline(always)]
            pub(crate) const fn from_words(to: u64, me: u64) -> Self {
                Self {
                    to: u64_le::from_native(to),
                    me: u64_le::from_native(me),
                    accepts: PhantomData,
                }
            }

            /// The two words: where to, and who there.
            #[inline(always)]
            pub(crate) const fn words(self) -> (u64, u64) {
                (self.to.to_native(), self.me.to_native())
            }

            /// The same address without the type of message.
            #[inline]
            pub const fn address(self) -> Address {
                Address { to: self.to.to_native(), me: self.me.to_native() }
            }

            /// The node's incarnation: drawn anew at every start of a node.
            #[inline]
            pub const fn node(self) -> u32 {
                self.address().node()
            }

            /// The core of that node. From [`CLIENT_CORE_BASE`] on it is a client.
            #[inline]
            pub const fn core(self) -> u16 {
                self.address().core()
            }

            /// Which protocol of the actor; 0 is its own message type, [`PORT_REPLY`] the reply to an ask.
            #[inline]
            pub const fn port(self) -> u16 {
                self.address().port()
            }

            /// The actor's place in its core's table.
            #[inline]
            pub const fn slot(self) -> u32 {
                self.address().slot()
            }

            /// Which life of that place.
            #[inline]
            pub const fn generation(self) -> u32 {
                self.address().generation()
            }
        }

        impl<M: ?Sized> Clone for $name<M> {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<M: ?Sized> Copy for $name<M> {}

        impl<M: ?Sized> PartialEq for $name<M> {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                self.address() == other.address()
            }
        }

        impl<M: ?Sized> Eq for $name<M> {}

        impl<M: ?Sized> PartialOrd for $name<M> {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl<M: ?Sized> Ord for $name<M> {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                self.address().cmp(&other.address())
            }
        }

        impl<M: ?Sized> Hash for $name<M> {
            #[inline]
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.address().hash(state);
            }
        }

        impl<M: ?Sized> fmt::Display for $name<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.address().fmt(f)
            }
        }

        impl<M: ?Sized> fmt::Debug for $name<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.address())
            }
        }

        impl<M: ?Sized> From<$name<M>> for Address {
            #[inline]
            fn from(reference: $name<M>) -> Address {
                reference.address()
            }
        }
    };
}

typed_reference!(ActorRef);
typed_reference!(LocalRef);

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
