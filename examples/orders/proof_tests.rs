//! Every way in which books can be wrong is found.

use super::details::Details;
use super::ledger::{Entry, Statement};
use super::order::{Description, Phase};
use super::proof::{Books, Proof};
use super::step::{Key, Step};

const SEED: u64 = 1;

fn entry(number: u64, step: Step, taken: u32, given_back: u32) -> Entry {
    let amount = step.amount(&Details::of(SEED, number));
    Entry { key: Key::new(number, step).0, amount, taken, given_back, barred: given_back > 0 }
}

/// Order 1 is done, order 2 was compensated; `change` makes something wrong.
fn proof_with(change: impl Fn(Step, &mut Statement), phase: Phase) -> Proof {
    let mut books = Books::default();
    for step in Step::ALL {
        for number in [1, 2] {
            let entry = entry(number, step, 1, u32::from(number == 2));
            let left = entry.amount as i64 * (1 - i64::from(entry.given_back));
            let mut statement =
                Statement { start: 1_000_000, balance: 1_000_000 - left, entries: vec![entry] };
            change(step, &mut statement);
            books.add_ledger(step, step.ledger(&Details::of(SEED, number)), &statement);
        }
    }
    for (number, phase) in [(1, phase), (2, Phase::Compensated)] {
        let details = Some(Details::of(SEED, number));
        books.add_order(number, &Description { details, phase });
    }
    books.proof()
}

#[test]
fn books_in_order_have_no_violation() {
    let proof = proof_with(|_, _| {}, Phase::Done);
    assert_eq!(proof.first_violations, Vec::<String>::new());
    assert_eq!((proof.orders, proof.done, proof.compensated), (2, 1, 1));
    assert_eq!((proof.taken, proof.given_back, proof.keys), (6, 3, 6));
    let details = Details::of(SEED, 1);
    let sold = (u64::from(details.pieces), details.cents, 1);
    assert_eq!((proof.pieces, proof.cents, proof.parcels), sold);
}

/// What is found when `change` is made to the ledgers of payment.
fn violation(change: impl Fn(&mut Statement)) -> String {
    let change = |step, statement: &mut Statement| {
        if step == Step::Charge {
            change(statement);
        }
    };
    let proof = proof_with(change, Phase::Done);
    assert!(proof.violations > 0);
    proof.first_violations.join("; ")
}

#[test]
fn an_effect_that_came_twice_is_found() {
    let twice = violation(|statement| {
        statement.entries[0].taken = 2;
        statement.balance -= statement.entries[0].amount as i64;
    });
    assert!(twice.contains("order 1, payment: taken 2 times, given back 0"), "{twice}");
}

#[test]
fn an_effect_that_is_missing_is_found() {
    let missing = violation(|statement| {
        statement.balance = statement.start;
        statement.entries.clear();
    });
    assert!(missing.contains("order 1, payment: the order is Done, 0 effects"), "{missing}");
}

#[test]
fn an_effect_that_was_not_undone_is_found() {
    let left = violation(|statement| {
        let entry = &mut statement.entries[0];
        statement.balance = statement.start - entry.amount as i64;
        entry.given_back = 0;
    });
    assert!(left.contains("order 2, payment: the order is Compensated, 1 effects"), "{left}");
}

#[test]
fn money_that_vanished_and_an_amount_that_was_not_ordered_are_found() {
    let vanished = violation(|statement| statement.balance -= 1);
    assert!(vanished.contains("payment ledger"), "{vanished}");
    let other = violation(|statement| {
        let entry = &mut statement.entries[0];
        entry.amount += 1;
        statement.balance -= i64::from(entry.given_back == 0);
    });
    assert!(other.contains("another ledger or amount"), "{other}");
}

#[test]
fn an_effect_for_nobody_and_an_order_that_has_not_ended_are_found() {
    let nobody = violation(|statement| statement.entries.push(entry(77, Step::Charge, 1, 1)));
    assert!(nobody.contains("order 77, payment"), "{nobody}");
    let proof = proof_with(|_, _| {}, Phase::Undoing(Step::Charge));
    assert!(proof.first_violations[0].contains("order 1 has not ended: Undoing(Charge)"));
}
