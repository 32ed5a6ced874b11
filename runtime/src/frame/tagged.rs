//! A value with the type of the messages that it stands for, as an [`ActorRef`](crate::ActorRef) has it.
//!
//! Whoever names receivers in another way than by their address (an entity by its id, a topic by its name) wants these
//! names to travel inside messages and still to know what may be sent to them. [`Tagged`] adds the type to the name; in
//! an archive it is nothing but the name.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::Fallible;
use rkyv::{Archive, Deserialize, Place, Portable, Serialize};

use crate::message::{Fingerprint, Schema};

/// A `T` that stands for receivers of `M`.
///
/// ```
/// use mainspring::message::Tagged;
/// use mainspring::prelude::*;
///
/// #[message]
/// pub struct Invoice {
///     pub cents: u64,
/// }
///
/// #[message]
/// pub struct Order {
///     pub bill_to: Tagged<String, Invoice>,
/// }
///
/// let order = Order { bill_to: Tagged::new("customer-7".to_owned()) };
/// assert_eq!(order.bill_to.get(), "customer-7");
/// ```
#[repr(transparent)]
pub struct Tagged<T, M: ?Sized> {
    value: T,
    message: PhantomData<fn() -> M>,
}

/// The form of a [`Tagged`] in an archive.
pub type ArchivedTagged<T, M> = Tagged<rkyv::Archived<T>, M>;

impl<T, M: ?Sized> Tagged<T, M> {
    /// The value with the tag.
    pub const fn new(value: T) -> Self {
        Tagged { value, message: PhantomData }
    }

    /// The value.
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// The value without the tag.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T: Clone, M: ?Sized> Clone for Tagged<T, M> {
    fn clone(&self) -> Self {
        Tagged::new(self.value.clone())
    }
}

impl<T: Copy, M: ?Sized> Copy for Tagged<T, M> {}

impl<T: PartialEq, M: ?Sized> PartialEq for Tagged<T, M> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq, M: ?Sized> Eq for Tagged<T, M> {}

impl<T: Hash, M: ?Sized> Hash for Tagged<T, M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl<T: fmt::Debug, M: ?Sized> fmt::Debug for Tagged<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

// SAFETY: the archive is that of the value. What the receiver accepts is the receiver's schema, and messages refer to
// each other in circles, so the tag is no part of the fingerprint.
unsafe impl<T: Schema, M: ?Sized> Schema for Tagged<T, M> {
    const NAME: &'static str = "Tagged";
    const FINGERPRINT: u64 = Fingerprint::of("Tagged").part(T::FINGERPRINT).value();
    const HOLDS_LOCALS: bool = T::HOLDS_LOCALS;
}

// SAFETY: `repr(transparent)` around a portable value.
unsafe impl<T: Portable, M: ?Sized> Portable for Tagged<T, M> {}

impl<T: Archive, M: ?Sized> Archive for Tagged<T, M> {
    type Archived = ArchivedTagged<T, M>;
    type Resolver = T::Resolver;

    fn resolve(&self, resolver: T::Resolver, out: Place<Self::Archived>) {
        rkyv::munge::munge!(let Tagged { value, .. } = out);
        self.value.resolve(resolver, value);
    }
}

impl<T: Serialize<S>, M: ?Sized, S: Fallible + ?Sized> Serialize<S> for Tagged<T, M> {
    fn serialize(&self, serializer: &mut S) -> Result<T::Resolver, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T, M, D> Deserialize<Tagged<T, M>, D> for ArchivedTagged<T, M>
where
    T: Archive<Archived: Deserialize<T, D>>,
    M: ?Sized,
    D: Fallible + ?Sized,
{
    fn deserialize(&self, deserializer: &mut D) -> Result<Tagged<T, M>, D::Error> {
        self.value.deserialize(deserializer).map(Tagged::new)
    }
}

// SAFETY: `repr(transparent)`: what is checked is the value.
unsafe impl<T: CheckBytes<C>, M: ?Sized, C: Fallible + ?Sized> CheckBytes<C> for Tagged<T, M> {
    unsafe fn check_bytes(value: *const Self, context: &mut C) -> Result<(), C::Error> {
        // SAFETY: the caller's promise is the same for the value, which stands at the same place.
        unsafe { T::check_bytes(value.cast(), context) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::archive::write_boxed;
    use crate::frame::validation::read_checked;
    use crate::message::owned;
    use crate::prelude::*;

    #[message(name = "test.circle")]
    #[derive(Debug, Clone, PartialEq)]
    struct Circle {
        next: Option<Tagged<String, Circle>>,
    }

    #[test]
    fn a_tagged_name_comes_back_as_it_went() {
        let circle = Circle { next: Some(Tagged::new("another".to_owned())) };
        let bytes = write_boxed(&circle, 1 << 10).expect("small enough");
        let archived = read_checked::<Circle>(bytes.as_slice()).expect("whole");
        assert_eq!(archived.next.as_ref().expect("there").get().as_str(), "another");
        assert_eq!(owned::<Circle>(archived).expect("owned"), circle);
        assert!(read_checked::<Circle>(&bytes.as_slice()[..8]).is_err());
    }
}
