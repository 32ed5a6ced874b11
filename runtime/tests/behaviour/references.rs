//! A reference names one life of one place: it never reaches a later actor there.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use proptest::prelude::*;

use crate::actors::{Number, Puppet, play};

/// What each actor got, by the number it was made with.
type Book = Rc<RefCell<BTreeMap<u64, Vec<u64>>>>;

fn noting(book: &Book, identity: u64) -> impl FnMut() -> Puppet + use<> {
    let book = Rc::clone(book);
    move || {
        let book = Rc::clone(&book);
        Puppet::new(move |_, n| {
            book.borrow_mut().entry(identity).or_default().push(n);
            Next::Same
        })
    }
}

#[test]
fn a_place_is_used_again_and_the_old_reference_does_not_reach_it() {
    let mut sim = Simulation::seeded(1);
    let book = Book::default();
    let first = sim.spawn(noting(&book, 1));
    sim.stop(first);
    sim.run_until_idle();
    let second = sim.spawn(noting(&book, 2));
    assert_eq!(first.slot(), second.slot());
    assert_ne!(first, second);
    play(&mut sim, first, 5);
    play(&mut sim, second, 6);
    assert_eq!(*book.borrow(), BTreeMap::from([(2, vec![6])]));
    assert_eq!(sim.dead_letters(Reason::NoActor), 1);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Spawn { core: u16 },
    Tell { whom: usize },
    Stop { whom: usize },
    Run,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..2u16).prop_map(|core| Step::Spawn { core }),
        (0..64usize).prop_map(|whom| Step::Tell { whom }),
        (0..64usize).prop_map(|whom| Step::Stop { whom }),
        Just(Step::Run),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A storm of spawns, stops and tells by old and new references: each message carries the identity of the actor
    /// whose reference was used, and no other actor ever sees it.
    #[test]
    fn no_message_reaches_another_actor_than_it_was_sent_to(seed in 1..1_000u64, steps in steps()) {
        let mut sim = Simulation::seeded(seed).cores(2);
        let book = Book::default();
        let mut made: Vec<ActorRef<Number>> = Vec::new();
        let mut told = 0;
        for step in steps {
            match step {
                Step::Spawn { core } => {
                    let factory = noting(&book, made.len() as u64);
                    made.push(sim.at(0).core(core).spawn(factory));
                }
                Step::Tell { whom } if !made.is_empty() => {
                    let whom = whom % made.len();
                    sim.tell(made[whom], &Number { n: whom as u64 });
                    told += 1;
                }
                Step::Stop { whom } if !made.is_empty() => sim.stop(made[whom % made.len()]),
                _ => sim.run_until_idle(),
            }
        }
        sim.run_until_idle();
        let book = book.borrow();
        for (identity, came) in book.iter() {
            prop_assert!(came.iter().all(|n| n == identity), "{identity} got {came:?}");
        }
        let handled: usize = book.values().map(Vec::len).sum();
        let lost = sim.dead_letters(Reason::NoActor) + sim.dead_letters(Reason::Stopping);
        prop_assert_eq!(handled as u64 + lost, told);
    }
}
