//! References keep their fields, order, and faces.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::{Address, CLIENT_CORE_BASE, PORT_REPLY};
use crate::prelude::*;

/// Not sized, not `Send`: what a reference is does not depend on what it accepts.
type Anything = [std::rc::Rc<u8>];

proptest! {
    #[test]
    fn every_field_comes_back(node: u32, core: u16, port: u16, slot: u32, generation: u32) {
        let address = Address::new(node, core, port, slot, generation);
        let (to, me) = address.words();
        let typed = ActorRef::<Anything>::from_words(to, me);
        prop_assert_eq!(typed.words(), (to, me));
        prop_assert_eq!((typed.node(), typed.core(), typed.port()), (node, core, port));
        prop_assert_eq!((typed.slot(), typed.generation()), (slot, generation));
        prop_assert_eq!(typed.address(), address);
        prop_assert_eq!(Address::from(LocalRef::<Anything>::from_words(to, me)), address);
        prop_assert_eq!(Address::from_words(to, me), address);
    }

    #[test]
    fn typed_references_compare_as_their_addresses(a: (u64, u64), b: (u64, u64)) {
        let typed = |(to, me)| ActorRef::<Anything>::from_words(to, me);
        let plain = |(to, me)| Address::from_words(to, me);
        prop_assert_eq!(typed(a).cmp(&typed(b)), plain(a).cmp(&plain(b)));
        prop_assert_eq!(typed(a) == typed(b), plain(a) == plain(b));
        prop_assert_eq!(HashSet::from([typed(a), typed(b)]).len(), BTreeSet::from([a, b]).len());
    }
}

#[test]
fn a_reference_shows_where_it_leads() {
    let address = Address::new(0xBEEF, 3, 2, 17, 5);
    let (to, me) = address.words();
    assert_eq!(address.to_string(), "0000beef/3/17#5:2");
    assert_eq!(ActorRef::<Anything>::from_words(to, me).to_string(), "0000beef/3/17#5:2");
    assert_eq!(format!("{:?}", ActorRef::<u8>::from_words(to, me)), "ActorRef(0000beef/3/17#5:2)");
    assert_eq!(format!("{:?}", LocalRef::<u8>::from_words(to, me)), "LocalRef(0000beef/3/17#5:2)");
    assert_eq!(format!("{address:?}"), "Address(0000beef/3/17#5:2)");
}

#[test]
fn clients_and_replies_have_numbers_of_their_own() {
    let reply = Address::new(1, CLIENT_CORE_BASE, PORT_REPLY, 0, 0);
    assert_eq!((reply.core(), reply.port()), (0x8000, 0xFFFF));
}

#[test]
fn references_cross_threads_whatever_they_accept() {
    fn crosses<T: Send + Sync + Copy>() {}
    crosses::<ActorRef<Anything>>();
    crosses::<LocalRef<Anything>>();
}
