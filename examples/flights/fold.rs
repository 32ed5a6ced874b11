//! The reference: one thread, one pass over the file, plain sums. What the actors found is held against it.

use super::minute::Minute;
use super::party::{Party, parties};
use super::reader::{ReadError, open};
use super::record::Flight;
use super::totals::Totals;
use std::collections::BTreeMap;
use std::path::Path;

/// The totals of every aircraft, airport and carrier, in order.
pub type Ledger = BTreeMap<Party, Totals>;

/// What one pass over a file gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fold {
    pub ledger: Ledger,
    /// Flights in the file.
    pub flights: u64,
    /// Messages that one pass sends: one for every party of every flight.
    pub messages: u64,
    /// The first and the last scheduled departure, once there is a flight.
    pub period: Option<(Minute, Minute)>,
}

impl Fold {
    /// Reads a whole file. Fails at its first bad row, and when it has none.
    pub fn of_file(path: &Path) -> Result<Fold, ReadError> {
        let mut fold = Fold::default();
        for flight in open(path)? {
            fold.add(&flight?);
        }
        if fold.flights == 0 {
            return Err(ReadError::NoFlights { path: path.into() });
        }
        Ok(fold)
    }

    /// Adds one flight.
    pub fn add(&mut self, flight: &Flight) {
        self.flights += 1;
        let (first, last) = self.period.unwrap_or((flight.time, flight.time));
        self.period = Some((first.min(flight.time), last.max(flight.time)));
        for (role, party) in parties(flight) {
            self.messages += 1;
            self.ledger.entry(party).or_default().add(role, flight);
        }
    }

    /// The ledger after `passes` passes over the file.
    pub fn after(&self, passes: u32) -> Ledger {
        self.ledger.iter().map(|(party, totals)| (*party, totals.repeated(passes))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::Kind;
    use crate::record::tests::flight;

    #[test]
    fn every_party_of_a_flight_gets_its_totals() {
        let mut fold = Fold::default();
        fold.add(&flight("2013-01-01T10:15Z,UA,EWR,IAH,1400,N14228,2,11,227").unwrap());
        fold.add(&flight("2013-01-01T10:35Z,AA,JFK,EWR,1400,NA,NA,NA,NA").unwrap());
        assert_eq!((fold.flights, fold.messages), (2, 7));
        let (first, last) = fold.period.unwrap();
        assert_eq!(last, first.plus(20));
        let count = |kind| fold.ledger.keys().filter(|party| party.kind == kind).count();
        assert_eq!([Kind::Aircraft, Kind::Airport, Kind::Carrier].map(count), [1, 3, 2]);
        let newark = fold.ledger.iter().find(|(party, _)| party.to_string() == "airport EWR");
        let totals = newark.unwrap().1;
        assert_eq!((totals.flights, totals.departures, totals.cancelled), (2, 1, 1));
        assert_eq!(fold.after(3).values().map(|totals| totals.flights).sum::<u64>(), 3 * 7);
    }
}
