//! A type that was changed without a new version is refused. Each of these changes would otherwise be read without a
//! complaint, as something that was never stored.

use mainspring::message::Stored;
use mainspring_journal::schema::{Event, EventBuffer, Events, Layout, SchemaError};
use mainspring_journal::{event, events};

/// The same event, before and after a change.
macro_rules! changed {
    ($before:ident { $($old:tt)* } $after:ident { $($new:tt)* }) => {
        pub mod $before {
            use super::*;
            #[event(name = "account.moved", version = 1)]
            #[derive(Debug)]
            pub struct Moved { $($old)* }
        }
        pub mod $after {
            use super::*;
            #[event(name = "account.moved", version = 1)]
            #[derive(Debug)]
            pub struct Moved { $($new)* }

            #[events]
            pub enum Events { Moved(Moved) }
        }
    };
}

changed! {
    fields { pub from: u64, pub to: u64 }
    fields_swapped { pub to: u64, pub from: u64 }
}
changed! {
    unsigned { pub amount: u64 }
    signed { pub amount: i64 }
}
changed! {
    alone { pub amount: u64 }
    appended { pub amount: u64, pub id: u64 }
}
changed! {
    both { pub amount: u64, pub id: u64 }
    removed { pub amount: u64 }
}
changed! {
    variants { pub kind: variants_before::Kind }
    variant_inserted { pub kind: variants_after::Kind }
}

pub mod variants_before {
    #[mainspring::message(name = "account.kind")]
    #[derive(Debug, Clone, Copy)]
    pub enum Kind {
        Deposited(u64),
        Closed,
    }
}

pub mod variants_after {
    #[mainspring::message(name = "account.kind")]
    #[derive(Debug, Clone, Copy)]
    pub enum Kind {
        Frozen(u64),
        Deposited(u64),
        Closed,
    }
}

/// Asks for the reader of what `Before` wrote, and says whether checked reading alone would have noticed.
fn refused<Before: Event, After: Event, E: Events>(written: &Before) -> (SchemaError, bool) {
    let mut buffer = EventBuffer::new();
    let range = buffer.push(written).expect("room");
    let Layout { name, version, fingerprint } = Before::LAYOUT;
    let refusal = E::reader(name, version, fingerprint).expect_err("another layout");
    let expected = After::LAYOUT.fingerprint;
    let text = SchemaError::Layout { name: "account.moved", version, expected, found: fingerprint };
    assert_eq!(refusal, text);
    (refusal, passes_the_check::<After>(buffer.get(range)))
}

fn passes_the_check<M: Stored>(payload: &[u8]) -> bool {
    mainspring::frame::validation::read_checked::<M>(payload).is_ok()
}

#[test]
fn swapped_fields_are_refused() {
    let written = fields::Moved { from: 1, to: 2 };
    let (refusal, passes) = refused::<_, fields_swapped::Moved, fields_swapped::Events>(&written);
    assert!(refusal.to_string().contains("changed without a new version"), "{refusal}");
    assert!(passes, "the check of the bytes alone takes it");
}

#[test]
fn another_sign_is_refused() {
    let written = unsigned::Moved { amount: u64::MAX };
    let (_, passes) = refused::<_, signed::Moved, signed::Events>(&written);
    assert!(passes, "the check of the bytes alone takes it");
}

#[test]
fn an_appended_field_is_refused() {
    let written = alone::Moved { amount: 5 };
    _ = refused::<_, appended::Moved, appended::Events>(&written);
}

#[test]
fn a_removed_field_is_refused() {
    let written = both::Moved { amount: 5, id: 6 };
    let (_, passes) = refused::<_, removed::Moved, removed::Events>(&written);
    assert!(passes, "the check of the bytes alone takes it");
}

#[test]
fn an_inserted_variant_of_a_field_is_refused() {
    let written = variants::Moved { kind: variants_before::Kind::Deposited(77) };
    let (_, passes) = refused::<_, variant_inserted::Moved, variant_inserted::Events>(&written);
    assert!(passes, "the check of the bytes alone takes it");
}

#[test]
fn an_inserted_variant_of_the_set_itself_changes_nothing() {
    #[event(name = "account.frozen", version = 1)]
    struct Frozen;

    #[events]
    enum More {
        Inserted(Frozen),
        Moved(both::Moved),
    }
    let layout = both::Moved::LAYOUT;
    let reader = More::reader(layout.name, layout.version, layout.fingerprint).expect("known");
    let mut buffer = EventBuffer::new();
    let range = buffer.push(&both::Moved { amount: 5, id: 6 }).expect("room");
    let mut seen = Vec::new();
    More::read(reader, buffer.get(range), &mut |event| match event {
        ArchivedMore::Moved(moved) => seen.push((moved.amount.to_native(), moved.id.to_native())),
        ArchivedMore::Inserted(_) => panic!("read as another event"),
    })
    .expect("valid");
    assert_eq!(seen, [(5, 6)]);
}
