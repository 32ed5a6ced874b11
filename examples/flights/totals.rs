//! What an aircraft, an airport or a carrier has seen: plain sums, a histogram of delays, and the last known place.
//!
//! Invariant: adding flights in any order, in any grouping, gives the same totals.

use super::code::Code;
use super::minute::Minute;
use super::party::Role;
use super::record::{Flight, Outcome};
use mainspring::prelude::*;

/// Upper bounds of the delay buckets, in minutes, exclusive; the last bucket has none.
pub const DELAY_BOUNDS_MIN: [i16; 11] = [-30, -15, 0, 15, 30, 45, 60, 90, 120, 180, 300];

/// Buckets of the delay histogram.
pub const DELAY_BUCKETS: usize = DELAY_BOUNDS_MIN.len() + 1;

/// The totals of one party.
#[message]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Scheduled flights.
    pub flights: u64,
    /// Of these, how many never departed.
    pub cancelled: u64,
    /// Departures; for an airport only its own.
    pub departures: u64,
    /// Arrivals at the destination; for an airport only its own.
    pub arrivals: u64,
    /// Sum over the departures.
    pub departure_delay_min: i64,
    /// Sum over the arrivals.
    pub arrival_delay_min: i64,
    /// Sum over the flights that landed.
    pub air_time_min: u64,
    /// Sum over the flights that landed.
    pub distance_mi: u64,
    /// Arrival delays by bucket; departure delays for an airport that a flight left.
    pub delays: [u64; DELAY_BUCKETS],
    /// Where an aircraft was seen last. Airports and carriers have none.
    pub last_seen: Option<Sighting>,
}

/// Where an aircraft was, and when. Ordered by time.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    pub at: Minute,
    pub place: Code,
}

impl Totals {
    /// Adds one flight, seen by who has `role` in it.
    pub fn add(&mut self, role: Role, flight: &Flight) {
        self.flights += 1;
        match flight.outcome {
            Outcome::Cancelled => self.cancelled += 1,
            Outcome::Diverted { departure_delay_min } => {
                self.depart(role, departure_delay_min);
                let at = flight.time.plus(departure_delay_min.into());
                self.see(role, Sighting { at, place: flight.origin });
            }
            Outcome::Landed { departure_delay_min, arrival_delay_min, air_time_min } => {
                self.depart(role, departure_delay_min);
                self.arrive(role, arrival_delay_min);
                self.air_time_min += u64::from(air_time_min);
                self.distance_mi += u64::from(flight.distance_mi);
                let minutes = i64::from(departure_delay_min) + i64::from(air_time_min);
                let at = flight.time.plus(minutes);
                self.see(role, Sighting { at, place: flight.destination });
            }
        }
    }

    /// These totals as if every flight had been added `times` times.
    pub fn repeated(&self, times: u32) -> Totals {
        let (unsigned, signed) = (u64::from(times), i64::from(times));
        Totals {
            flights: self.flights * unsigned,
            cancelled: self.cancelled * unsigned,
            departures: self.departures * unsigned,
            arrivals: self.arrivals * unsigned,
            departure_delay_min: self.departure_delay_min * signed,
            arrival_delay_min: self.arrival_delay_min * signed,
            air_time_min: self.air_time_min * unsigned,
            distance_mi: self.distance_mi * unsigned,
            delays: self.delays.map(|count| count * unsigned),
            last_seen: self.last_seen,
        }
    }

    /// Mean over the departures; `None` when there were none.
    pub fn mean_departure_delay_min(&self) -> Option<f64> {
        mean(self.departure_delay_min, self.departures)
    }

    /// Mean over the arrivals; `None` when there were none.
    pub fn mean_arrival_delay_min(&self) -> Option<f64> {
        mean(self.arrival_delay_min, self.arrivals)
    }

    fn depart(&mut self, role: Role, delay_min: i16) {
        if role != Role::Destination {
            self.departures += 1;
            self.departure_delay_min += i64::from(delay_min);
        }
        if role == Role::Origin {
            self.delays[delay_bucket(delay_min)] += 1;
        }
    }

    fn arrive(&mut self, role: Role, delay_min: i16) {
        if role != Role::Origin {
            self.arrivals += 1;
            self.arrival_delay_min += i64::from(delay_min);
            self.delays[delay_bucket(delay_min)] += 1;
        }
    }

    fn see(&mut self, role: Role, sighting: Sighting) {
        if role == Role::Aircraft {
            self.last_seen = self.last_seen.max(Some(sighting));
        }
    }
}

/// The bucket that a delay falls into.
fn delay_bucket(delay_min: i16) -> usize {
    DELAY_BOUNDS_MIN.partition_point(|&bound| bound <= delay_min)
}

fn mean(sum: i64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum as f64 / count as f64)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(text: &str) -> Code {
        Code::parse(text.as_bytes()).unwrap()
    }

    /// Any flight of three aircraft between three airports.
    pub fn any_flight() -> impl Strategy<Value = Flight> {
        let airport = prop::sample::select(vec!["EWR", "JFK", "IAH"]).prop_map(code);
        let aircraft = prop::sample::select(vec!["N1", "N2", "N3"]).prop_map(code);
        let outcome = prop_oneof![
            Just(Outcome::Cancelled),
            (-40..400_i16)
                .prop_map(|departure_delay_min| Outcome::Diverted { departure_delay_min }),
            (-40..400_i16, -60..500_i16, 20..700_u16).prop_map(
                |(departure_delay_min, arrival_delay_min, air_time_min)| Outcome::Landed {
                    departure_delay_min,
                    arrival_delay_min,
                    air_time_min
                }
            ),
        ];
        (0..500_i64, airport.clone(), airport, aircraft, 80..5_000_u16, outcome).prop_map(
            |(minute, origin, destination, aircraft, distance_mi, outcome)| Flight {
                time: Minute(minute),
                carrier: code("UA"),
                origin,
                destination,
                distance_mi,
                aircraft: Some(aircraft),
                outcome,
            },
        )
    }

    fn landed(minute: i64, destination: &str) -> Flight {
        Flight {
            time: Minute(minute),
            carrier: code("UA"),
            origin: code("EWR"),
            destination: code(destination),
            distance_mi: 100,
            aircraft: Some(code("N1")),
            outcome: Outcome::Landed {
                departure_delay_min: 10,
                arrival_delay_min: -20,
                air_time_min: 60,
            },
        }
    }

    #[test]
    fn each_role_counts_its_own_side_of_a_flight() {
        let of = |role| {
            let mut totals = Totals::default();
            totals.add(role, &landed(0, "IAH"));
            totals
        };
        let carrier = of(Role::Carrier);
        assert_eq!((carrier.departures, carrier.arrivals), (1, 1));
        assert_eq!((carrier.departure_delay_min, carrier.arrival_delay_min), (10, -20));
        let origin = of(Role::Origin);
        assert_eq!((origin.departures, origin.arrivals, origin.arrival_delay_min), (1, 0, 0));
        let destination = of(Role::Destination);
        assert_eq!((destination.departures, destination.arrivals), (0, 1));
        assert_eq!(destination.mean_departure_delay_min(), None);
        assert_eq!(destination.mean_arrival_delay_min(), Some(-20.0));
        for totals in [&origin, &destination, &carrier] {
            assert_eq!((totals.flights, totals.delays.iter().sum::<u64>()), (1, 1));
            assert_eq!(totals.last_seen, None);
        }
    }

    #[test]
    fn an_aircraft_is_where_it_was_seen_last_and_not_where_it_was_added_last() {
        let mut totals = Totals::default();
        totals.add(Role::Aircraft, &landed(500, "IAH"));
        totals.add(Role::Aircraft, &landed(100, "MIA"));
        let seen = totals.last_seen.unwrap();
        assert_eq!((seen.place, seen.at), (code("IAH"), Minute(570)));

        let mut left = landed(900, "ORD");
        left.outcome = Outcome::Diverted { departure_delay_min: 5 };
        totals.add(Role::Aircraft, &left);
        assert_eq!(totals.last_seen.unwrap().place, code("EWR"));

        left.outcome = Outcome::Cancelled;
        left.time = Minute(2_000);
        totals.add(Role::Aircraft, &left);
        assert_eq!(totals.last_seen.unwrap().at, Minute(905));
        assert_eq!((totals.flights, totals.cancelled), (4, 1));
    }

    #[test]
    fn delays_fall_into_the_bucket_below_its_bound() {
        for (delay_min, bucket) in
            [(-31, 0), (-30, 1), (-1, 2), (0, 3), (14, 3), (15, 4), (300, 11)]
        {
            assert_eq!(delay_bucket(delay_min), bucket, "{delay_min}");
        }
    }

    proptest! {
        #[test]
        fn order_does_not_matter(
            (flights, shuffled) in prop::collection::vec(any_flight(), 0..40)
                .prop_flat_map(|flights| (Just(flights.clone()), Just(flights).prop_shuffle())),
        ) {
            for role in [Role::Aircraft, Role::Origin, Role::Destination, Role::Carrier] {
                let (mut one, mut other) = (Totals::default(), Totals::default());
                flights.iter().for_each(|flight| one.add(role, flight));
                shuffled.iter().for_each(|flight| other.add(role, flight));
                prop_assert_eq!(one, other);
            }
        }

        #[test]
        fn repeated_totals_are_those_of_repeated_flights(
            flights in prop::collection::vec(any_flight(), 0..20),
            times in 1..5_u32,
        ) {
            let (mut once, mut often) = (Totals::default(), Totals::default());
            flights.iter().for_each(|flight| once.add(Role::Aircraft, flight));
            for _ in 0..times {
                flights.iter().for_each(|flight| often.add(Role::Aircraft, flight));
            }
            prop_assert_eq!(once.repeated(times), often);
        }
    }
}
