//! Who takes part in a flight: its aircraft, the two airports, its carrier. Each is an actor of its own.

use super::code::Code;
use super::record::Flight;
use std::fmt;

/// What an actor stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    Aircraft = 0,
    Airport = 1,
    Carrier = 2,
}

/// One aircraft, airport or carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party {
    pub kind: Kind,
    pub code: Code,
}

/// What a party is to one flight. An airport counts departures and arrivals apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    Aircraft = 0,
    Origin = 1,
    Destination = 2,
    Carrier = 3,
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
}
