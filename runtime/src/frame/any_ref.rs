//! A reference whose type of message is not in its type: for tables of actors that take different messages.
//!
//! A registry keeps references for others and does not know what is sent to them. [`AnyRef`] keeps the fingerprint of
//! the messages beside the address, and gives a typed reference only to those who name the same type.
//!
//! Invariant: as for [`ActorRef`], only this crate makes them, and what comes from another node is asked after in the
//! same way; so what [`typed`](AnyRef::typed) gives accepts this very type.

use std::fmt;

use rkyv::rancor::Fallible;
use rkyv::rend::u64_le;
use rkyv::traits::NoUndef;
use rkyv::{Archive, Deserialize, Place, Portable, Serialize};

use super::schema::Schema;
use crate::address::{ActorRef, Address};
use crate::message::Fingerprint;

/// An [`ActorRef`] and the fingerprint of what it accepts: 24 bytes of plain data that travel inside messages.
///
/// ```
/// use mainspring::message::AnyRef;
/// use mainspring::prelude::*;
/// use mainspring::testkit::Simulation;
///
/// #[message]
/// pub struct Price {
///     pub cents: u64,
/// }
///
/// #[message]
/// pub struct Stock {
///     pub pieces: u64,
/// }
///
/// let mut sim = Simulation::seeded(1);
/// let prices = sim.probe::<Price>();
/// let kept = AnyRef::of(prices.actor());
/// assert_eq!(kept.typed::<Price>(), Some(prices.actor()));
/// assert_eq!(kept.typed::<Stock>(), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Portable)]
#[rkyv(crate = ::mainspring::rkyv)]
#[repr(C)]
pub struct AnyRef {
    to: u64_le,
    me: u64_le,
    fingerprint: u64_le,
}

impl AnyRef {
    /// The reference without its type.
    pub fn of<M: Schema>(actor: ActorRef<M>) -> AnyRef {
        let (to, me) = actor.words();
        AnyRef {
            to: u64_le::from_native(to),
            me: u64_le::from_native(me),
            fingerprint: u64_le::from_native(M::FINGERPRINT),
        }
    }

    /// The reference with its type, if this is the type.
    pub fn typed<M: Schema>(self) -> Option<ActorRef<M>> {
        let (to, me) = self.address().words();
        (self.fingerprint() == M::FINGERPRINT).then(|| ActorRef::from_words(to, me))
    }

    /// Whom it names.
    pub fn address(self) -> Address {
        Address::from_words(self.to.to_native(), self.me.to_native())
    }

    /// [`Schema::FINGERPRINT`] of what it accepts.
    pub fn fingerprint(self) -> u64 {
        self.fingerprint.to_native()
    }
}

impl fmt::Debug for AnyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyRef({}, {:016x})", self.address(), self.fingerprint())
    }
}

impl From<AnyRef> for Address {
    fn from(reference: AnyRef) -> Address {
        reference.address()
    }
}

// SAFETY: `repr(C)` of three `u64_le`: every byte is initialised, none is padding.
unsafe impl NoUndef for AnyRef {}

// SAFETY: the type is its own archived form, and holds no value of another type.
unsafe impl Schema for AnyRef {
    const NAME: &'static str = "AnyRef";
    const FINGERPRINT: u64 =
        Fingerprint::of("AnyRef").layout(size_of::<AnyRef>(), align_of::<AnyRef>()).value();
}

impl Archive for AnyRef {
    type Archived = Self;
    type Resolver = ();

    fn resolve(&self, (): (), out: Place<Self>) {
        out.write(*self);
    }
}

impl<S: Fallible + ?Sized> Serialize<S> for AnyRef {
    fn serialize(&self, _: &mut S) -> Result<(), S::Error> {
        Ok(())
    }
}

impl<D: Fallible + ?Sized> Deserialize<AnyRef, D> for AnyRef {
    fn deserialize(&self, _: &mut D) -> Result<AnyRef, D::Error> {
        Ok(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::archive::write_boxed;
    use crate::frame::validation::{References, check};
    use crate::message::owned;
    use crate::prelude::*;

    #[message(name = "test.listed")]
    #[derive(Debug)]
    struct Listed {
        actors: Vec<AnyRef>,
    }

    /// Believes references to actors that take a `Listed`.
    struct OnlyListed;

    impl References for OnlyListed {
        fn is_possible(&self, _: Address, fingerprint: u64) -> bool {
            fingerprint == Listed::FINGERPRINT
        }
    }

    fn listed<M: Schema>() -> Listed {
        Listed { actors: vec![AnyRef::of(ActorRef::<M>::from_words(7, 9))] }
    }

    #[test]
    fn a_reference_comes_back_only_by_the_type_that_it_went_with() {
        let bytes = write_boxed(&listed::<Listed>(), 1 << 10).expect("small enough");
        // SAFETY: nothing is sent to the reference.
        let archived = unsafe { check::<Listed>(bytes.as_slice(), &OnlyListed) };
        let archived = archived.expect("possible");
        let [kept] = owned::<Listed>(archived).expect("owned").actors[..] else { panic!("one") };
        assert_eq!(kept.typed::<Listed>(), Some(ActorRef::from_words(7, 9)));
        assert_eq!(kept.typed::<u64>(), None);
    }

    #[test]
    fn a_reference_from_another_node_that_cannot_be_true_is_refused() {
        let bytes = write_boxed(&listed::<u64>(), 1 << 10).expect("small enough");
        // SAFETY: nothing is sent to the reference.
        let refused = unsafe { check::<Listed>(bytes.as_slice(), &OnlyListed) }.unwrap_err();
        assert!(refused.to_string().contains("was never an address"), "{refused}");
    }
}
