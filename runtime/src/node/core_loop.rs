//! A core as its host drives it.

use std::time::Duration;

use crate::core::Core;
use crate::core::outbound::Wake;
use crate::driver::uring::Completion;
use crate::driver::{CoreDisk, CoreLoop, CoreNet, CoreTask, CoreWaker};

/// The state machine behind the host's face.
pub(super) struct HostedCore {
    pub core: Core,
    pub disk: CoreDisk,
    pub net: CoreNet,
}

impl CoreLoop for HostedCore {
    #[inline]
    fn sweep(&mut self) -> bool {
        self.core.sweep()
    }

    fn has_work(&mut self) -> bool {
        self.core.has_work() || self.disk.has_completed() || self.net.has_work()
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        self.core.next_deadline_ns()
    }

    #[inline]
    fn take_tasks(&mut self) -> Vec<CoreTask> {
        if self.core.new_tasks.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut self.core.new_tasks)
    }

    #[inline]
    fn finished(&self) -> bool {
        self.core.finished
    }

    fn parked(&mut self, slept_ns: u64, _woken: bool) {
        self.core.counters.parks += 1;
        self.core.counters.parked_ns += slept_ns;
        self.core.after_park();
    }

    #[inline]
    fn yields(&self) -> bool {
        self.disk.in_flight() > 0
    }

    fn completed(&mut self, completion: Completion) {
        if !self.net.completed(completion) {
            self.disk.completed(completion);
        }
    }
}

impl Drop for HostedCore {
    /// Before the devices let go of their files and sockets.
    fn drop(&mut self) {
        let disk = self.disk.clone();
        let mut others = |completion| {
            disk.completed(completion);
        };
        if !self.net.settle(NET_PATIENCE, &mut others) {
            tracing::warn!(under_way = self.net.in_flight(), "a core ends before its sockets have");
        }
        if !self.disk.settle(DISK_PATIENCE) {
            tracing::warn!(under_way = self.disk.in_flight(), "a core ends before its disk has");
        }
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

/// How long a core that ends waits for what its disk has under way.
const DISK_PATIENCE: Duration = Duration::from_secs(5);
/// The same for its sockets, of which everything under way has been cancelled.
const NET_PATIENCE: Duration = Duration::from_secs(5);
