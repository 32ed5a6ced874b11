//! Who takes part in a flight: its aircraft, the two airports, its carrier. Each is an actor of its own.

use super::code::Code;
use super::record::Flight;
use mainspring::prelude::*;
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// What an actor stands for.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Aircraft,
    Airport,
    Carrier,
}

/// One aircraft, airport or carrier.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party {
    pub kind: Kind,
    pub code: Code,
}

impl Party {
    /// Which of `cores` its actor lives on: the same at every run, spread evenly. `cores` must not be 0.
    pub fn home(self, cores: usize) -> usize {
        let hash = xxh3_64(&self.code.to_bytes()).wrapping_add(self.kind as u64);
        (hash % cores.max(1) as u64) as usize
    }
}

/// What a party is to one flight. An airport counts departures and arrivals apart.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Aircraft,
    Origin,
    Destination,
    Carrier,
}

impl Role {
    /// What kind of party has this role.
    pub fn kind(self) -> Kind {
        match self {
            Role::Aircraft => Kind::Aircraft,
            Role::Origin | Role::Destination => Kind::Airport,
            Role::Carrier => Kind::Carrier,
        }
    }
}

/// Everyone who takes part in a flight, with their roles. A flight without an aircraft has three, all others four.
pub fn parties(flight: &Flight) -> impl Iterator<Item = (Role, Party)> + use<> {
    let party = |role: Role, code| (role, Party { kind: role.kind(), code });
    [
        flight.aircraft.map(|code| party(Role::Aircraft, code)),
        Some(party(Role::Origin, flight.origin)),
        Some(party(Role::Destination, flight.destination)),
        Some(party(Role::Carrier, flight.carrier)),
    ]
    .into_iter()
    .flatten()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Aircraft => "aircraft",
            Kind::Airport => "airport",
            Kind::Carrier => "carrier",
        })
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::flight;

    #[test]
    fn a_flight_has_four_parties_and_three_without_an_aircraft() {
        let landed = flight("2013-01-01T10:15Z,UA,EWR,IAH,1400,N14228,2,11,227").unwrap();
        let names: Vec<String> =
            parties(&landed).map(|(role, party)| format!("{role:?} {party}")).collect();
        let expected = [
            "Aircraft aircraft N14228",
            "Origin airport EWR",
            "Destination airport IAH",
            "Carrier carrier UA",
        ];
        assert_eq!(names, expected);
        let cancelled = flight("2013-01-01T10:15Z,UA,EWR,IAH,1400,NA,NA,NA,NA").unwrap();
        assert_eq!(parties(&cancelled).count(), 3);
    }

    #[test]
    fn every_core_is_home_to_a_fair_share_of_the_aircraft() {
        for cores in [1, 2, 3, 8] {
            let mut homes = vec![0; cores];
            for number in 0..4_000 {
                let code = Code::parse(format!("N{number}").as_bytes()).unwrap();
                homes[Party { kind: Kind::Aircraft, code }.home(cores)] += 1;
            }
            let fair = 4_000 / cores;
            assert!(homes.iter().all(|&home| home * 5 > fair * 4), "{cores} cores: {homes:?}");
        }
    }
}
