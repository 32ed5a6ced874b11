//! What changes a fingerprint, and what does not.

use std::collections::BTreeMap;

use super::Schema;
use crate::prelude::*;

/// Declares types of one name, each in a module of its own, and gives their fingerprints.
macro_rules! fingerprints {
    ($($module:ident { $($item:tt)* })*) => {{
        $(mod $module {
            #[allow(unused_imports)]
            use crate::prelude::*;
            #[message(name = "test.order")]
            #[allow(dead_code)]
            pub $($item)*
        })*
        [$((stringify!($module), $module::Order::FINGERPRINT)),*]
    }};
}

fn assert_all_differ(fingerprints: &[(&str, u64)]) {
    let mut seen = BTreeMap::new();
    for (module, fingerprint) in fingerprints {
        if let Some(other) = seen.insert(fingerprint, module) {
            panic!("`{module}` and `{other}` have the same fingerprint");
        }
    }
}

#[test]
fn a_struct_that_differs_in_anything_has_another_fingerprint() {
    assert_all_differ(&fingerprints! {
        original { struct Order { id: u64, price: u64 } }
        renamed_field { struct Order { id: u64, cost: u64 } }
        swapped_fields { struct Order { price: u64, id: u64 } }
        retyped_same_size { struct Order { id: u64, price: i64 } }
        retyped_other_size { struct Order { id: u64, price: u32 } }
        fewer_fields { struct Order { id: u64 } }
        more_fields { struct Order { id: u64, price: u64, count: u64 } }
        optional_field { struct Order { id: u64, price: Option<u64> } }
        tuple { struct Order(u64, u64); }
        tuple_of_pair { struct Order((u64, u64)); }
        array { struct Order([u64; 2]); }
        unit { struct Order; }
        variants { enum Order { Id(u64), Price(u64) } }
    });
}

#[test]
fn an_enum_that_differs_in_anything_has_another_fingerprint() {
    assert_all_differ(&fingerprints! {
        original { enum Order { New { id: u64 }, Cancel(u64), Halt } }
        renamed_variant { enum Order { Fresh { id: u64 }, Cancel(u64), Halt } }
        swapped_variants { enum Order { Cancel(u64), New { id: u64 }, Halt } }
        renamed_field { enum Order { New { key: u64 }, Cancel(u64), Halt } }
        moved_field { enum Order { New, Cancel(u64), Halt(u64) } }
        appended_variant { enum Order { New { id: u64 }, Cancel(u64), Halt, Resume } }
        other_tag { enum Order { New, Halt = 7 } }
        first_tag { enum Order { New, Halt } }
    });
}

#[test]
fn a_change_inside_a_field_changes_the_whole() {
    mod before {
        use crate::prelude::*;
        #[message(name = "test.part")]
        pub struct Part(pub u32);
        #[message(name = "test.whole")]
        pub struct Whole(pub Vec<Option<Part>>);
    }
    mod after {
        use crate::prelude::*;
        #[message(name = "test.part")]
        pub struct Part(pub i32);
        #[message(name = "test.whole")]
        pub struct Whole(pub Vec<Option<Part>>);
    }
    assert_ne!(before::Whole::FINGERPRINT, after::Whole::FINGERPRINT);
}

#[test]
fn spacing_comments_and_visibility_do_not_count() {
    let [(_, first), (_, second)] = fingerprints! {
        plain { struct Order { parts: Vec<(u64, String)> } }
        dressed { struct Order { /** Documented. */ pub(crate) parts : Vec < ( u64 ,String ) >, } }
    };
    assert_eq!(first, second);
}

#[message(name = "test.golden")]
enum Golden {
    Deposit { amount: u64, note: Option<String> },
    Balance { reply_to: ActorRef<Golden> },
    Close(Vec<[u8; 4]>, BTreeMap<u32, bool>),
    Ping,
}

/// These values are on other people's disks and wires: they may change only together with the format's version.
#[test]
fn fingerprints_are_the_same_for_ever() {
    let fingerprints = [
        u64::FINGERPRINT,
        String::FINGERPRINT,
        <Vec<Option<u8>>>::FINGERPRINT,
        <ActorRef<Golden>>::FINGERPRINT,
        Golden::FINGERPRINT,
    ];
    let shown = fingerprints.map(|fingerprint| format!("{fingerprint:016x}"));
    assert_eq!(
        shown,
        [
            "ca5add276d230b04",
            "251fd8c289e3cf48",
            "6d178c2ecf69f709",
            "dd49441bfc3ed03a",
            "c6438787a0328a73",
        ]
    );
}

#[test]
fn a_name_is_the_path_of_the_type_unless_it_is_given() {
    #[message]
    struct Named;
    assert_eq!(Named::NAME, "mainspring::message::tests::Named");
    assert_eq!(Golden::NAME, "test.golden");
    assert_ne!(Named::FINGERPRINT, <()>::FINGERPRINT);
}

#[test]
fn types_may_contain_each_other() {
    #[message]
    #[derive(Debug, PartialEq)]
    struct Folder {
        entries: Vec<Entry>,
    }
    #[message]
    #[derive(Debug, PartialEq)]
    enum Entry {
        File(u32),
        Folder(#[rkyv(omit_bounds)] Box<Folder>),
    }
    let folder =
        Folder { entries: vec![Entry::File(1), Entry::Folder(Folder { entries: vec![] }.into())] };
    let payload = crate::frame::archive::write_boxed(&folder, 4096).expect("room");
    let archived = rkyv::access::<ArchivedFolder, rkyv::rancor::Error>(payload.as_slice());
    assert_eq!(super::owned::<Folder>(archived.expect("a valid archive")), Ok(folder));
}
