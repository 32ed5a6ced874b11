//! How a process ends: by a signal, because its cluster has given it up, or because it was told to leave.
//!
//! In order it first ends its connections, so that clients turn to another process, then leaves the cluster, so that
//! its shards go elsewhere, then stops its node. Given up, it has nothing to hand over: it refuses what is asked, and
//! stops at once.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring_sharding::cluster::{ClusterHandle, exit_code};
use mainspring_sharding::membership::StopReason;
use mainspring_sharding::shutdown::{
    AddTaskError, BeginError, Phase, Reason, Report, Settings, Shutdown,
};

use super::info::Course;
use super::service::{Service, View};

/// How often a process looks at its cluster.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Looks between two notes of what of the keys is here.
const LOOKS_A_NOTE: u32 = 5;
/// How long clients may take to get their last answers.
const REQUESTS_WITHIN: Duration = Duration::from_secs(5);
/// How long it may take until all shards are elsewhere and the others have let go.
const LEAVE_WITHIN: Duration = Duration::from_secs(30);
/// How long the node may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Why a process did not end in order.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    #[error("the signals that end it cannot be waited for: {0}")]
    Signals(#[from] std::io::Error),
    #[error("{0}")]
    Begin(#[from] BeginError),
    #[error("{0}")]
    Add(#[from] AddTaskError),
    #[error("it did not end in order: {0}")]
    Report(Report),
}

/// Serves until the process is to end, and ends it. The exit code.
///
/// # Errors
/// [`EndError`].
pub fn serve(service: Service) -> Result<u8, EndError> {
    let (view, client) = (service.view(), service.client());
    let settings = Settings::default()
        .deadline(Phase::FinishRequests, REQUESTS_WITHIN)
        .deadline(Phase::LeaveCluster, LEAVE_WITHIN)
        .deadline(Phase::StopNode, STOP_WITHIN);
    let shutdown = Shutdown::new(settings);
    if let Some(cluster) = view.cluster() {
        let (clients, cluster) = (view.clone(), cluster.clone());
        shutdown.add(Phase::FinishRequests, "clients", move |stopping| {
            if *stopping.reason() == Reason::Downed {
                return Ok(());
            }
            clients.set_course(Course::Leaving);
            while clients.open_connections() > 0 && !stopping.time_left().is_zero() {
                std::thread::sleep(LOOK_EVERY / 10);
            }
            Ok(())
        })?;
        shutdown.add(Phase::LeaveCluster, "cluster", move |stopping| {
            match *stopping.reason() == Reason::Downed {
                true => Ok(()),
                false => leave(&cluster, stopping.time_left()),
            }
        })?;
    }
    shutdown
        .add(Phase::StopNode, "node", move |stopping| Ok(service.stop(stopping.time_left())?))?;
    shutdown.begin_on_signals()?;
    let report = watch(&shutdown, &view, &client)?;
    match (&report.reason, report.is_clean()) {
        (Reason::Downed, _) => Ok(exit_code(StopReason::Downed)),
        (_, true) => Ok(0),
        (_, false) => Err(EndError::Report(report)),
    }
}

/// Looks at the cluster until all is over.
fn watch(shutdown: &Shutdown, view: &View, client: &Client) -> Result<Report, EndError> {
    for look in 0_u32.. {
        if let Some(report) = shutdown.wait(LOOK_EVERY) {
            return Ok(report);
        }
        match view.cluster().and_then(ClusterHandle::stopping) {
            Some(StopReason::Downed) => {
                view.set_course(Course::Out);
                shutdown.begin(Reason::Downed)?;
            }
            Some(StopReason::Left) => drop(shutdown.begin(Reason::LeftCluster)?),
            None if look % LOOKS_A_NOTE == 0 => view.note_cluster(client),
            None => {}
        }
    }
    Ok(shutdown.wait_for_end())
}

/// Leaves, if the process is a member. It stays one if that takes too long.
fn leave(
    cluster: &ClusterHandle,
    patience: Duration,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if cluster.stopping().is_none() && cluster.leave().is_err() {
        // It was not let in yet.
        return Ok(());
    }
    match cluster.wait_stopped(patience) {
        Some(_) => Ok(()),
        None => Err(
            "the cluster did not let it go in time: its keys come back when its lease has ended"
                .into(),
        ),
    }
}
