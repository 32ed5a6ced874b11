//! What must be true after the restart: every update that was acknowledged is there, and none happened twice.
//!
//! The ledger is kept outside of the process that is killed. It knows of each device what was acknowledged and nothing
//! else: what was sent and not answered may be there or not.

use serde::Serialize;

use super::shadow::{Shadow, last_wish, reading_of};

/// How many violations are kept.
const VIOLATIONS_LIMIT: usize = 10;

/// What was acknowledged.
#[derive(Debug)]
pub struct Ledger {
    seed: u64,
    /// Of each device.
    devices: Vec<Acknowledged>,
    updates: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Acknowledged {
    /// The highest number of an update.
    number: u32,
    /// How many updates.
    updates: u32,
    is_asked: bool,
}

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Devices that were asked after the restart.
    pub devices: u64,
    /// Updates that were acknowledged before it.
    pub acknowledged: u64,
    /// Updates that their shadows have had, as these say.
    pub found: u64,
    /// How much is wrong.
    pub violations: u64,
    /// The first of it.
    pub first_violations: Vec<String>,
}

impl Ledger {
    /// Nothing was acknowledged of so many devices yet.
    pub fn new(devices: u32, seed: u64) -> Ledger {
        let devices = vec![Acknowledged::default(); devices as usize];
        Ledger { seed, devices, updates: 0 }
    }

    /// An update of a device was acknowledged. `false` when there is no such device.
    pub fn acknowledge(&mut self, device: u32, number: u32) -> bool {
        let Some(entry) = self.devices.get_mut(device as usize) else { return false };
        entry.number = entry.number.max(number);
        entry.updates += 1;
        self.updates += 1;
        true
    }

    /// How many updates were acknowledged.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Begins to hold what is found against what was acknowledged.
    pub fn check(self) -> Check {
        let proof = Proof { acknowledged: self.updates, ..Proof::default() };
        Check { ledger: self, proof }
    }
}

/// A proof that is being made.
#[derive(Debug)]
pub struct Check {
    ledger: Ledger,
    proof: Proof,
}

impl Check {
    /// The shadow of a device was asked.
    pub fn found(&mut self, device: u32, shadow: &Shadow) {
        let Some(entry) = self.ledger.devices.get_mut(device as usize) else {
            return self.wrong(format_args!("device {device}: there is no such device"));
        };
        let Acknowledged { number, updates, is_asked } = *entry;
        entry.is_asked = true;
        if is_asked {
            return self.wrong(format_args!("device {device}: asked twice"));
        }
        self.proof.devices += 1;
        self.proof.found += u64::from(shadow.updates);
        if shadow.number < number {
            self.wrong(format_args!(
                "device {device}: update {number} was acknowledged, the last one that is there is {}",
                shadow.number
            ));
        } else if shadow.updates < updates {
            self.wrong(format_args!(
                "device {device}: {updates} updates were acknowledged, {} are there",
                shadow.updates
            ));
        } else if shadow.updates > shadow.number {
            self.wrong(format_args!(
                "device {device}: {} updates were sent at most, {} are there: one happened twice",
                shadow.number, shadow.updates
            ));
        } else if shadow.updates == shadow.number {
            self.contents(device, shadow);
        }
    }

    /// Without a gap in the numbers it is known what the shadow has to hold.
    fn contents(&mut self, device: u32, shadow: &Shadow) {
        let wish = last_wish(shadow.number);
        let report = if wish == shadow.number { wish.saturating_sub(1) } else { shadow.number };
        let reading = match report {
            0 => 0,
            report => reading_of(self.ledger.seed, device, report),
        };
        if (shadow.desired, shadow.reading) != (wish, reading) || shadow.reported > wish {
            self.wrong(format_args!("device {device}: not what its updates said: {shadow:?}"));
        }
    }

    /// All were asked.
    pub fn proof(mut self) -> Proof {
        let missing = self.ledger.devices.iter().position(|entry| !entry.is_asked);
        if let Some(device) = missing {
            self.wrong(format_args!("device {device} was not asked"));
        }
        self.proof
    }

    fn wrong(&mut self, what: std::fmt::Arguments<'_>) {
        self.proof.violations += 1;
        if self.proof.first_violations.len() < VIOLATIONS_LIMIT {
            self.proof.first_violations.push(what.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 5;

    /// A device with so many updates that are all there.
    fn shadow(number: u32) -> Shadow {
        let reading = reading_of(SEED, 0, number);
        Shadow { updates: number, number, desired: last_wish(number), reported: 1, reading }
    }

    /// What is found of one device of which three updates were acknowledged.
    fn violation(shadow: Shadow) -> Option<String> {
        let mut ledger = Ledger::new(1, SEED);
        for number in 1..=3 {
            assert!(ledger.acknowledge(0, number));
        }
        let mut check = ledger.check();
        check.found(0, &shadow);
        check.proof().first_violations.first().cloned()
    }

    #[test]
    fn what_was_acknowledged_and_more_is_right() {
        assert_eq!(violation(shadow(3)), None);
        assert_eq!(violation(shadow(5)), None);
    }

    #[test]
    fn a_last_update_that_is_lost_is_found() {
        let found = violation(shadow(2)).expect("it is lost");
        assert!(
            found.contains("update 3 was acknowledged, the last one that is there is 2"),
            "{found}"
        );
    }

    #[test]
    fn an_update_that_was_lost_before_others_is_found() {
        let found = violation(Shadow { updates: 2, ..shadow(4) }).expect("it is lost");
        assert!(found.contains("3 updates were acknowledged, 2 are there"), "{found}");
    }

    #[test]
    fn an_update_that_happened_twice_is_found() {
        let found = violation(Shadow { updates: 5, ..shadow(4) }).expect("it happened twice");
        assert!(found.contains("one happened twice"), "{found}");
    }

    #[test]
    fn a_reading_that_nobody_sent_is_found() {
        assert!(violation(Shadow { reading: 1, ..shadow(3) }).is_some());
        assert!(violation(Shadow { desired: 2, ..shadow(3) }).is_some());
    }

    #[test]
    fn a_device_that_was_not_asked_is_found() {
        let proof = Ledger::new(2, SEED).check().proof();
        assert!(proof.first_violations[0].contains("device 0 was not asked"));
    }
}
