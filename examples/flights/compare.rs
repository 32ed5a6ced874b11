//! Holds the actors' totals against the reference and names the first difference.

use super::fold::Ledger;
use super::party::Party;
use super::totals::Totals;
use std::fmt;

/// The first difference between two ledgers, in the order of parties and fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The reference has this party and the actors have not.
    Missing(Party),
    /// The actors have this party and the reference has not.
    Surplus(Party),
    /// Both have it, with unequal values in `field`.
    Value { party: Party, field: &'static str, actors: String, reference: String },
}

/// The first difference; `None` when every total is equal.
pub fn first_difference(actors: &Ledger, reference: &Ledger) -> Option<Difference> {
    let mut actors = actors.iter().peekable();
    for (party, expected) in reference {
        match actors.next_if(|(found, _)| *found <= party) {
            Some((found, totals)) if found == party => {
                if let Some((field, actors, reference)) = first_field(totals, expected) {
                    return Some(Difference::Value { party: *party, field, actors, reference });
                }
            }
            Some((found, _)) => return Some(Difference::Surplus(*found)),
            None => return Some(Difference::Missing(*party)),
        }
    }
    actors.next().map(|(party, _)| Difference::Surplus(*party))
}

fn first_field(a: &Totals, b: &Totals) -> Option<(&'static str, String, String)> {
    macro_rules! compare {
        ($($field:ident),*) => {
            // Names every field, so that a new one cannot be forgotten here.
            let Totals { $($field: _),* } = a;
            $(if a.$field != b.$field {
                return Some((stringify!($field), format!("{:?}", a.$field), format!("{:?}", b.$field)));
            })*
        };
    }
    compare!(
        flights,
        cancelled,
        departures,
        arrivals,
        departure_delay_min,
        arrival_delay_min,
        air_time_min,
        distance_mi,
        delays,
        last_seen
    );
    None
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing(party) => write!(f, "{party}: in the file, but no actor has it"),
            Difference::Surplus(party) => write!(f, "{party}: an actor has it, but not the file"),
            Difference::Value { party, field, actors, reference } => {
                write!(f, "{party}: {field} is {actors}, but {reference} in the file")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::Fold;
    use crate::totals::tests::any_flight;
    use proptest::prelude::*;

    fn ledger() -> Ledger {
        let mut fold = Fold::default();
        for row in ["UA,EWR,IAH,1400,N14228,2,11,227", "AA,JFK,EWR,900,N2,NA,NA,NA"] {
            let row = format!("2013-01-01T10:15Z,{row}");
            fold.add(&crate::record::tests::flight(&row).unwrap());
        }
        fold.ledger
    }

    fn text(actors: &Ledger, reference: &Ledger) -> String {
        first_difference(actors, reference)
            .map_or("none".into(), |difference| difference.to_string())
    }

    #[test]
    fn equal_ledgers_have_no_difference() {
        assert_eq!(text(&ledger(), &ledger()), "none");
    }

    #[test]
    fn a_missing_and_a_surplus_party_are_named() {
        let whole = ledger();
        for party in whole.keys() {
            let mut part = whole.clone();
            part.remove(party);
            assert_eq!(first_difference(&part, &whole), Some(Difference::Missing(*party)));
            assert_eq!(first_difference(&whole, &part), Some(Difference::Surplus(*party)));
        }
    }

    #[test]
    fn an_unequal_field_is_named_with_both_values() {
        let (mut actors, reference) = (ledger(), ledger());
        let last = actors.values_mut().next_back().unwrap();
        last.distance_mi += 1;
        assert_eq!(
            text(&actors, &reference),
            "carrier UA: distance_mi is 1401, but 1400 in the file"
        );
    }

    proptest! {
        #[test]
        fn one_flight_more_is_always_a_difference(
            flights in prop::collection::vec(any_flight(), 0..20),
            one_more in any_flight(),
        ) {
            let mut fold = Fold::default();
            flights.iter().for_each(|flight| fold.add(flight));
            let before = fold.ledger.clone();
            fold.add(&one_more);
            prop_assert!(first_difference(&before, &fold.ledger).is_some());
            prop_assert!(first_difference(&fold.ledger, &before).is_some());
        }
    }
}
