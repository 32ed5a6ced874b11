//! A core as its host drives it.

use std::time::Duration;

use crate::core::Core;
use crate::core::outbound::Wake;
use crate::driver::{CoreLoop, CoreTask, CoreWaker};

/// The state machine behind the host's face.
pub(super) struct HostedCore(pub Core);

impl CoreLoop for HostedCore {
    #[inline]
    fn sweep(&mut self) -> bool {
        self.0.sweep()
    }

    fn has_work(&mut self) -> bool {
        self.0.has_work()
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        self.0.next_deadline_ns()
    }

    #[inline]
    fn take_tasks(&mut self) -> Vec<CoreTask> {
        if self.0.new_tasks.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut self.0.new_tasks)
    }

    #[inline]
    fn finished(&self) -> bool {
        self.0.finished
    }

    fn parked(&mut self, slept_ns: u64, _woken: bool) {
        self.0.counters.parks += 1;
        self.0.counters.parked_ns += slept_ns;
        self.0.after_park();
    }
}

impl Wake for CoreWaker {
    #[inline]
    fn wake_after_publish(&self) -> bool {
        CoreWaker::wake_after_publish(self)
    }
}

/// The cores of a node that never sleep need no waking, and who publishes for them no fence.
pub(super) struct NeverSleeps;

impl Wake for NeverSleeps {
    #[inline]
    fn wake_after_publish(&self) -> bool {
        false
    }
}

/// How long a thread outside the cores waits for a core before it says that the core is silent.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
