//! Which types may be part of a message, and the fingerprints of those that the language and this crate provide.
//!
//! Invariant: a type is here only if its archive can be read unchecked where it was written, because handlers do just
//! that. This is why the trait is `unsafe` and why only `#[message]` implements it outside this file. Left out on
//! purpose: `usize` and `isize` (an archive holds 32 bits of them and drops the rest silently), `HashMap` and
//! `HashSet` (equal values would have unequal bytes), `Rc` and `Arc` (shared pointers in foreign bytes are a way to
//! forge).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroU8, NonZeroU16, NonZeroU32,
    NonZeroU64, NonZeroU128,
};
use std::time::Duration;

use rkyv::{Archive, Archived};

use crate::address::{ActorRef, LocalRef};
use crate::frame::local::Local;
use crate::message::Fingerprint;

/// A type that may be part of a message, with a name and a fingerprint of its schema.
///
/// Implemented by [`#[message]`](macro@crate::message); not to be implemented by hand.
///
/// # Safety
///
/// Archives of the type are read unchecked. The implementor's `Archive` and `Serialize` must therefore write, for
/// every value and with every serializer, an archive whose root may be read as `Self::Archived`; every field must
/// be a
/// `Schema` itself. `HOLDS_LOCALS` must be true if a value can contain a [`Local`] anywhere.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a message",
    label = "not part of a message",
    note = "put `#[message]` on the type if it is yours",
    note = "use `u32` or `u64` for `usize`, `BTreeMap` for `HashMap`, and `Local` for what only this process can hold"
)]
pub unsafe trait Schema {
    /// The name of the type, for people; types with the same name may have different fingerprints.
    const NAME: &'static str;

    /// Equal on two builds only if the names, the fields, their order, their types and the archived layout are equal.
    const FINGERPRINT: u64;

    /// Whether a value can contain a [`Local`].
    const HOLDS_LOCALS: bool = false;

    /// Whether messages of this type go to other nodes on the bulk lane: see [`message`](macro@crate::message).
    const BULK: bool = false;
}

macro_rules! plain {
    ($($plain:ty),* $(,)?) => {$(
        // SAFETY: rkyv archives this type correctly, and it has no fields of unknown type.
        unsafe impl Schema for $plain {
            const NAME: &'static str = stringify!($plain);
            const FINGERPRINT: u64 = Fingerprint::of(stringify!($plain))
                .layout(size_of::<Archived<$plain>>(), align_of::<Archived<$plain>>())
                .value();
        }
    )*};
}

plain! {
    bool, char, u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64,
    NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128,
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128,
    String, Duration,
    Ipv4Addr, Ipv6Addr, IpAddr, SocketAddrV4, SocketAddrV6, SocketAddr,
}

macro_rules! composed {
    ($($name:literal: [$($parameter:ident),*] $composed:ty;)*) => {$(
        // SAFETY: rkyv archives this type correctly if it does its parameters, and they are schemas themselves.
        unsafe impl<$($parameter: Schema),*> Schema for $composed {
            const NAME: &'static str = $name;
            const FINGERPRINT: u64 =
                Fingerprint::of($name)$(.part($parameter::FINGERPRINT))*.value();
            const HOLDS_LOCALS: bool = false $(|| $parameter::HOLDS_LOCALS)*;
        }
    )*};
}

composed! {
    "()": [] ();
    "Box<str>": [] Box<str>;
    "Vec": [T] Vec<T>;
    "VecDeque": [T] VecDeque<T>;
    "Box": [T] Box<T>;
    "Box<[T]>": [T] Box<[T]>;
    "Option": [T] Option<T>;
    "Result": [T, E] Result<T, E>;
    "BTreeMap": [K, V] BTreeMap<K, V>;
    "BTreeSet": [T] BTreeSet<T>;
    "tuple": [A] (A,);
    "tuple": [A, B] (A, B);
    "tuple": [A, B, C] (A, B, C);
    "tuple": [A, B, C, D] (A, B, C, D);
    "tuple": [A, B, C, D, E] (A, B, C, D, E);
    "tuple": [A, B, C, D, E, F] (A, B, C, D, E, F);
    "tuple": [A, B, C, D, E, F, G] (A, B, C, D, E, F, G);
    "tuple": [A, B, C, D, E, F, G, H] (A, B, C, D, E, F, G, H);
}

// SAFETY: rkyv archives an array correctly if it does its elements, and they are schemas themselves.
unsafe impl<T: Schema, const N: usize> Schema for [T; N] {
    const NAME: &'static str = "array";
    const FINGERPRINT: u64 = Fingerprint::of("array").part(T::FINGERPRINT).part(N as u64).value();
    const HOLDS_LOCALS: bool = T::HOLDS_LOCALS;
}

// SAFETY: a reference is plain data that archives as itself. Its fingerprint is that of the word alone: what the
// receiver accepts is the receiver's schema, and messages refer to each other in circles.
unsafe impl<M: ?Sized> Schema for ActorRef<M> {
    const NAME: &'static str = "ActorRef";
    const FINGERPRINT: u64 = Fingerprint::of("ActorRef").layout(16, 8).value();
}

// SAFETY: as for `ActorRef`.
unsafe impl<M: ?Sized> Schema for LocalRef<M> {
    const NAME: &'static str = "LocalRef";
    const FINGERPRINT: u64 = Fingerprint::of("LocalRef").layout(16, 8).value();
}

// SAFETY: it archives as a handle that is checked whenever it is used.
unsafe impl<T: Send + 'static> Schema for Local<T> {
    const NAME: &'static str = "Local";
    const FINGERPRINT: u64 = Fingerprint::of("Local").layout(8, 8).value();
    const HOLDS_LOCALS: bool = true;
}

/// Compiles if `T` is a schema; `#[message]` calls it for fields whose fingerprint it cannot ask for.
#[doc(hidden)]
pub const fn assert_schema<T: Schema + Archive>() {}
