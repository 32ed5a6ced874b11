//! Updates that are under way: by a ticket that is never given twice, and no more of them than the window is wide.

use super::fleet::Planned;

/// An update that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    pub planned: Planned,
    pub sent_ns: u64,
}

/// See the module's header.
#[derive(Debug)]
pub struct Flights {
    /// A ticket belongs to the place that is its remainder.
    places: Vec<Place>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Place {
    ticket: u64,
    flight: Option<Flight>,
}

impl Flights {
    /// None yet, and at most `window`.
    pub fn new(window: usize) -> Flights {
        let place = |ticket| Place { ticket, flight: None };
        Flights { places: (0..window as u64).map(place).collect(), free: (0..window).collect() }
    }

    /// One more; its ticket, if there is room.
    pub fn open(&mut self, planned: Planned, sent_ns: u64) -> Option<u64> {
        let window = self.places.len() as u64;
        let place = &mut self.places[self.free.pop()?];
        place.ticket += window;
        place.flight = Some(Flight { planned, sent_ns });
        Some(place.ticket)
    }

    /// Ends one. None if it has ended before.
    pub fn close(&mut self, ticket: u64) -> Option<Flight> {
        let number = (ticket % self.places.len().max(1) as u64) as usize;
        let place = self.places.get_mut(number).filter(|place| place.ticket == ticket)?;
        let flight = place.flight.take()?;
        self.free.push(number);
        Some(flight)
    }

    /// Ends those that were sent before then.
    pub fn close_before(&mut self, then_ns: u64, mut ended: impl FnMut(Flight)) {
        for (number, place) in self.places.iter_mut().enumerate() {
            if let Some(flight) = place.flight.take_if(|flight| flight.sent_ns < then_ns) {
                self.free.push(number);
                ended(flight);
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fleet::Fleet;
    use super::*;

    fn planned() -> Planned {
        Fleet::new(1, 0, 1, 1.0, 1).next().expect("it has a device")
    }

    #[test]
    fn there_are_no_more_than_the_window_is_wide_and_a_ticket_ends_once() {
        let mut flights = Flights::new(2);
        let first = flights.open(planned(), 10).expect("room");
        let second = flights.open(planned(), 20).expect("room");
        assert_eq!(flights.open(planned(), 30), None);
        assert_eq!(flights.close(first).map(|flight| flight.sent_ns), Some(10));
        assert_eq!(flights.close(first), None);
        let third = flights.open(planned(), 40).expect("room again");
        assert!(third != first && third != second);
        assert_eq!(flights.close(first), None, "its place is another's");
        assert_eq!(flights.len(), 2);
    }

    #[test]
    fn those_that_are_old_are_ended_together() {
        let mut flights = Flights::new(4);
        let old = flights.open(planned(), 10).expect("room");
        let new = flights.open(planned(), 20).expect("room");
        let mut ended = Vec::new();
        flights.close_before(20, |flight| ended.push(flight.sent_ns));
        assert_eq!((ended, flights.len()), (vec![10], 1));
        assert_eq!(flights.close(old), None);
        assert!(flights.close(new).is_some());
    }
}
