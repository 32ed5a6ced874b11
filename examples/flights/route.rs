//! Which message goes to whom: the order in which one ingestion actor tells flights to their parties.
//!
//! Pure: takes rows and a verdict on every message, and says what is next. A message that was refused comes again, so
//! every party of every flight gets exactly one message per pass, however often a queue is full.

use super::party::{Party, Role, parties};
use super::reader::{Block, ReadError, Text};
use super::record::Flight;
use std::collections::VecDeque;

/// Where one ingestion actor is in the text.
pub struct Route {
    text: Text,
    blocks: Vec<Block>,
    rows: Option<Box<dyn Iterator<Item = Result<Flight, ReadError>>>>,
    /// Blocks that were opened, over all passes.
    opened: u64,
    passes: u32,
    /// The messages of the current flight that are not sent yet.
    unsent: VecDeque<(Role, Party)>,
    flight: Option<Flight>,
    flights: u64,
    messages: u64,
}

/// One message to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub role: Role,
    pub party: Party,
    pub flight: Flight,
    /// In which pass, counted from 0.
    pub pass: u32,
}

impl Route {
    /// The route of actor number `index` of `count`: every `count`th block of the text, `passes` times.
    pub fn new(
        text: Text,
        rows_per_block: usize,
        index: usize,
        count: usize,
        passes: u32,
    ) -> Route {
        let blocks = text.blocks(rows_per_block);
        let blocks = blocks.into_iter().skip(index).step_by(count.max(1)).collect();
        Route {
            text,
            blocks,
            rows: None,
            opened: 0,
            passes,
            unsent: VecDeque::new(),
            flight: None,
            flights: 0,
            messages: 0,
        }
    }

    /// The next message to send; the same again until [`Route::sent`] is called. `None` at the end.
    ///
    /// # Errors
    /// [`ReadError`] at a malformed row; the route ends there.
    pub fn next(&mut self) -> Result<Option<Step>, ReadError> {
        loop {
            if let (Some(&(role, party)), Some(flight)) = (self.unsent.front(), self.flight) {
                return Ok(Some(Step { role, party, flight, pass: self.pass() }));
            }
            match self.rows.as_mut().and_then(Iterator::next) {
                Some(Ok(flight)) => {
                    self.unsent = parties(&flight).collect();
                    self.flight = Some(flight);
                }
                Some(Err(error)) => {
                    self.passes = 0;
                    self.rows = None;
                    return Err(error);
                }
                None if !self.open_block() => return Ok(None),
                None => {}
            }
        }
    }

    /// The message that [`Route::next`] gave was sent.
    pub fn sent(&mut self) {
        if self.unsent.pop_front().is_some() {
            self.messages += 1;
            self.flights += u64::from(self.unsent.is_empty());
        }
    }

    /// Flights whose messages were all sent.
    pub fn flights(&self) -> u64 {
        self.flights
    }

    /// Messages that were sent.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    fn pass(&self) -> u32 {
        let passes = self.opened.saturating_sub(1) / self.blocks.len().max(1) as u64;
        u32::try_from(passes).unwrap_or(u32::MAX)
    }

    /// Opens the next block; `false` when there is none.
    fn open_block(&mut self) -> bool {
        let blocks = self.blocks.len() as u64;
        if self.opened >= blocks * u64::from(self.passes) {
            return false;
        }
        let block = self.blocks[(self.opened % blocks) as usize];
        self.rows = Some(Box::new(self.text.rows(block)));
        self.opened += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader_tests::{Scratch, gzip, text};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Follows a route to its end; every message is refused as often as `refusals` says.
    fn followed(mut route: Route, mut refusals: impl FnMut() -> u8) -> (Vec<Step>, Route) {
        let mut steps = Vec::new();
        while let Some(step) = route.next().unwrap() {
            for _ in 0..refusals() {
                assert_eq!(route.next().unwrap(), Some(step));
            }
            route.sent();
            steps.push(step);
        }
        assert!(route.next().unwrap().is_none());
        (steps, route)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_party_of_every_flight_gets_one_message_a_pass(
            rows in 1..50_usize,
            rows_per_block in 1..9_usize,
            count in 1..4_usize,
            passes in 1..4_u32,
            refusals in prop::collection::vec(0..3_u8, 1..20),
        ) {
            let name = format!("route{rows}-{rows_per_block}-{count}-{passes}");
            let file = Scratch::new(&name, &gzip(&text(rows)));
            let whole = Text::read(&file.path()).unwrap();
            let mut messages: BTreeMap<(u16, u32, Party), u32> = BTreeMap::new();
            let mut flights = 0;
            for index in 0..count {
                let route = Route::new(whole.clone(), rows_per_block, index, count, passes);
                let mut refusals = refusals.iter().cycle();
                let (steps, route) = followed(route, || *refusals.next().unwrap());
                prop_assert_eq!(route.messages(), steps.len() as u64);
                flights += route.flights();
                for step in steps {
                    let key = (step.flight.distance_mi, step.pass, step.party);
                    *messages.entry(key).or_default() += 1;
                }
            }
            prop_assert_eq!(flights, rows as u64 * u64::from(passes));
            prop_assert_eq!(messages.len(), rows * passes as usize * 4);
            prop_assert!(messages.values().all(|&count| count == 1));
        }
    }

    #[test]
    fn a_route_ends_at_a_malformed_row() {
        let file = Scratch::new("route-bad", &gzip(&format!("{}bad row\n", text(3))));
        let whole = Text::read(&file.path()).unwrap();
        let mut route = Route::new(whole, 2, 0, 1, 5);
        for _ in 0..12 {
            route.next().unwrap().unwrap();
            route.sent();
        }
        assert!(matches!(route.next(), Err(ReadError::Row { line: 5, .. })));
        assert!(route.next().unwrap().is_none());
        assert_eq!((route.flights(), route.messages()), (3, 12));
    }
}
