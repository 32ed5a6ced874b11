//! The devices of one gateway: what each of them sends next.
//!
//! First every device gets its first update, in order; then they speak as often as their popularity says. A device has
//! at most a few updates under way: one more would only wait behind them.
//!
//! Invariant: the updates of a device are numbered 1, 2, 3 and so on in the order in which they were sent, and a number
//! is used once.

use super::popularity::Popularity;
use super::shadow::is_wish;

/// Updates of one device that are under way.
const UNDER_WAY_LIMIT: u8 = 4;
/// Devices that are drawn before the gateway waits for answers: those that had too much under way are passed over.
const DRAWS: usize = 16;

/// The devices of a gateway.
#[derive(Debug)]
pub struct Fleet {
    /// The device at place 0 has this number, and the next ones are `step` apart.
    first: u32,
    step: u32,
    devices: Vec<Device>,
    /// So many have got their first update.
    begun: usize,
    popularity: Popularity,
    passed_over: u64,
}

/// What the gateway has to know of a device.
#[derive(Clone, Copy, Debug, Default)]
struct Device {
    /// The number of its last update.
    number: u32,
    /// The configuration that it has.
    configuration: u32,
    under_way: u8,
}

/// An update that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    place: usize,
    pub device: u32,
    pub number: u32,
    pub what: What,
}

/// What an update is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An operator's wish.
    Wish,
    /// A report of the device, which has this configuration.
    Report { configuration: u32 },
}

impl Fleet {
    /// Of `devices` in all, those of gateway `gateway` of `gateways`.
    pub fn new(devices: u32, gateway: u32, gateways: u32, exponent: f64, seed: u64) -> Fleet {
        let count = devices.saturating_sub(gateway).div_ceil(gateways.max(1)) as usize;
        Fleet {
            first: gateway,
            step: gateways.max(1),
            devices: vec![Device::default(); count],
            begun: 0,
            popularity: Popularity::new(count, exponent, seed ^ u64::from(gateway)),
            passed_over: 0,
        }
    }

    /// What is to be sent next, if anything can be. Nothing has changed until it is [sent](Fleet::sent).
    pub fn next(&mut self) -> Option<Planned> {
        if self.begun < self.devices.len() {
            return Some(self.planned(self.begun));
        }
        for _ in 0..DRAWS.min(self.devices.len()) {
            let place = self.popularity.draw();
            if self.devices[place].under_way < UNDER_WAY_LIMIT {
                return Some(self.planned(place));
            }
            self.passed_over += 1;
        }
        None
    }

    fn planned(&self, place: usize) -> Planned {
        let Device { number, configuration, .. } = self.devices[place];
        let number = number + 1;
        let what = match is_wish(number) {
            true => What::Wish,
            false => What::Report { configuration },
        };
        Planned { place, device: self.first + place as u32 * self.step, number, what }
    }

    /// It was sent.
    pub fn sent(&mut self, planned: &Planned) {
        let device = &mut self.devices[planned.place];
        (device.number, device.under_way) = (planned.number, device.under_way + 1);
        self.begun = self.begun.max(planned.place + 1);
    }

    /// It is not under way any more. If it was answered, the device has adopted the configuration that is wanted.
    pub fn ended(&mut self, planned: &Planned, desired: Option<u32>) {
        let device = &mut self.devices[planned.place];
        device.under_way = device.under_way.saturating_sub(1);
        device.configuration =
            desired.map_or(device.configuration, |it| it.max(device.configuration));
    }

    /// How often a device was drawn that had too much under way.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_devices_of_all_gateways_are_all_devices_once() {
        let mut all: Vec<u32> = (0..3)
            .flat_map(|gateway| {
                let mut fleet = Fleet::new(10, gateway, 3, 1.0, 1);
                let count = fleet.devices.len();
                let begin = |_| {
                    let planned = fleet.next().expect("there is room");
                    fleet.sent(&planned);
                    assert_eq!((planned.number, planned.what), (1, What::Wish));
                    planned.device
                };
                (0..count).map(begin).collect::<Vec<_>>()
            })
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_device_has_no_more_under_way_than_it_may_and_goes_on_when_it_is_answered() {
        let mut fleet = Fleet::new(1, 0, 1, 1.0, 1);
        let sent: Vec<Planned> = std::iter::from_fn(|| {
            let planned = fleet.next()?;
            fleet.sent(&planned);
            Some(planned)
        })
        .collect();
        let numbers: Vec<u32> = sent.iter().map(|planned| planned.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
        assert!(fleet.passed_over() > 0);
        fleet.ended(&sent[0], Some(1));
        let next = fleet.next().expect("one was answered");
        assert_eq!((next.number, next.what), (5, What::Report { configuration: 1 }));
    }

    #[test]
    fn what_could_not_be_sent_is_planned_again_with_the_same_number() {
        let mut fleet = Fleet::new(4, 0, 1, 1.0, 1);
        assert_eq!(fleet.next(), fleet.next());
    }
}
