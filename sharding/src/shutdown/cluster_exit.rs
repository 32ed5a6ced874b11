//! The tasks by which a node that ends leaves its cluster.

use super::coordinated::{Shutdown, TaskFailure};
use super::phase::Phase;
use super::sequence::AddTaskError;
use crate::cluster::{ClusterHandle, ClusterRequestError};

impl Shutdown {
    /// Two tasks more: in [`Phase::LeaveCluster`] the node begins to leave and hands over its shards, and in
    /// [`Phase::ConfirmExit`] the cluster lets it go. A node that was given up meanwhile, or is no member, has nothing
    /// to do in either. What does not happen within the deadline of its phase is named in the report; then the others
    /// have to find out that the node is gone, and its shards wait until its lease has ended.
    ///
    /// # Errors
    /// [`AddTaskError`]; of both phases at the same time only if the first one refuses.
    pub fn leave_cluster(&self, cluster: &ClusterHandle) -> Result<(), AddTaskError> {
        let leaving = cluster.clone();
        self.add(Phase::LeaveCluster, "leave the cluster", move |stopping| {
            if !begin_to_leave(&leaving)? {
                return Ok(());
            }
            let reason = leaving.wait_stopping(stopping.time_left());
            reason.map(|_| ()).ok_or_else(|| "its shards were not handed over in time".into())
        })?;
        let exiting = cluster.clone();
        self.add(Phase::ConfirmExit, "the cluster lets the node go", move |stopping| {
            if exiting.this().is_none() || exiting.wait_stopped(stopping.time_left()).is_some() {
                return Ok(());
            }
            Err("nobody has confirmed in time that the node is gone".into())
        })?;
        Ok(())
    }
}

/// Whether there is something to wait for.
fn begin_to_leave(cluster: &ClusterHandle) -> Result<bool, TaskFailure> {
    match cluster.leave() {
        Ok(()) => Ok(true),
        Err(ClusterRequestError::NoMember) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::shutdown::{Reason, Settings};

    #[test]
    fn a_node_that_is_no_member_has_nothing_to_leave() {
        let shutdown = Shutdown::new(Settings::default());
        shutdown.leave_cluster(&ClusterHandle::default()).expect("room for two tasks");
        shutdown.begin(Reason::Asked("a test".to_owned())).expect("a thread");
        let report = shutdown.wait(Duration::from_secs(30)).expect("it ends");
        assert!(report.is_clean(), "{report}");
    }
}
