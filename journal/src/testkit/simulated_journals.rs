//! The journals of a simulated node with several cores, each with a disk of its own.

use std::rc::Rc;
use std::sync::Arc;

use mainspring::testkit::Simulation;

use super::SimulatedJournal;
use crate::device::afar::Exchange;
use crate::device::{CoreJournal, OpenLogError};

/// One [`SimulatedJournal`] for each core of a node. Entities may run on any core, as on a real node.
///
/// ```
/// use mainspring::testkit::Simulation;
/// use mainspring_journal::testkit::SimulatedJournals;
///
/// let journals = SimulatedJournals::seeded(1, 2);
/// let mut sim = Simulation::seeded(1).cores(2);
/// journals.install(&mut sim)?;
/// // Spawn `Persistent` actors on any core, cut the power, and go on in another simulation.
/// drop(sim);
/// journals.crash();
/// journals.install(&mut Simulation::seeded(2).cores(2))?;
/// # Ok::<(), mainspring_journal::device::OpenLogError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimulatedJournals {
    cores: Vec<SimulatedJournal>,
}

impl SimulatedJournals {
    /// Empty journals for so many cores; the seed decides what a crash leaves.
    pub fn seeded(seed: u64, cores: u16) -> Self {
        let journal = |core: u16| {
            let seed = seed ^ u64::from(core) << 48;
            let mut journal = SimulatedJournal::seeded(seed);
            journal.core.cores = cores.max(1);
            journal
        };
        SimulatedJournals { cores: (0..cores.max(1)).map(journal).collect() }
    }

    /// Changes how all of them are written and used.
    pub fn set(&mut self, change: impl Fn(&mut SimulatedJournal)) {
        self.cores.iter_mut().for_each(change);
    }

    /// The journal of a core, to make it fail, or to look at its disk.
    ///
    /// # Panics
    /// In the test that names a core which is not there.
    #[track_caller]
    pub fn core(&self, core: u16) -> &SimulatedJournal {
        match self.cores.get(usize::from(core)) {
            Some(journal) => journal,
            None => panic!("there is no core {core}: there are {}", self.cores.len()),
        }
    }

    /// Opens the journals on the cores of the first node of a simulation, as a node does when it starts.
    ///
    /// # Errors
    /// [`OpenLogError`] when a disk holds no log that can be used.
    pub fn install(&self, sim: &mut Simulation) -> Result<Vec<Rc<CoreJournal>>, OpenLogError> {
        let exchange = Arc::new(Exchange::new(self.cores.len() as u16));
        let installed = self.cores.iter().zip(0..).map(|(journal, core)| {
            journal.install_with(&sim.at(0).core(core), Some(Arc::clone(&exchange)))
        });
        installed.collect()
    }

    /// The power is gone: what was not synced is kept, lost or torn, sector by sector.
    pub fn crash(&self) {
        self.cores.iter().for_each(SimulatedJournal::crash);
    }
}
