//! What nodes tell each other about actors: the bodies of control frames.
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 0 | `body` | 1 watch, 2 unwatch, 3 terminated |
//! | 1 | `reason` | its end: 1 stopped, 2 failed, 3 no such actor, 4 node shut down, 5 unreachable; else 0 |
//! | 2–7 | | zero |
//! | 8–23 | `actor` | whom it is about |
//! | 24–39 | `watcher` | who wants to know |

use mainspring::Address;
use mainspring::actor::StopReason;

use super::error::WireError;
use super::fields::{address_at, is_zero, put, put_address};
use super::link_frame::KIND_CONTROL;

/// Bytes of every body of this version.
pub(super) const BODY_BYTES: usize = 40;

/// What a control frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlBody {
    /// `watcher` wants to know when `actor` is gone.
    Watch {
        /// Whom it is about.
        actor: Address,
        /// Who wants to know.
        watcher: Address,
    },
    /// `watcher` no longer wants to know.
    Unwatch {
        /// Whom it is about.
        actor: Address,
        /// Who wanted to know.
        watcher: Address,
    },
    /// `actor` is gone, or never was.
    Terminated {
        /// Whom it is about.
        actor: Address,
        /// Who wants to know.
        watcher: Address,
        /// How it ended.
        reason: StopReason,
    },
}

impl ControlBody {
    pub(super) fn encode(self) -> [u8; BODY_BYTES] {
        let (body, actor, watcher, reason) = match self {
            ControlBody::Watch { actor, watcher } => (1, actor, watcher, 0),
            ControlBody::Unwatch { actor, watcher } => (2, actor, watcher, 0),
            ControlBody::Terminated { actor, watcher, reason } => {
                (3, actor, watcher, reason_code(reason))
            }
        };
        let mut bytes = [0; BODY_BYTES];
        put(&mut bytes, 0, &[body, reason]);
        put_address(&mut bytes, 8, actor);
        put_address(&mut bytes, 24, watcher);
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let &[body, reason, ref rest @ ..] = bytes else {
            return Err(WireError::Reserved { kind: KIND_CONTROL });
        };
        let (actor, watcher) = (address_at(bytes, 8), address_at(bytes, 24));
        let read = match body {
            1 => ControlBody::Watch { actor, watcher },
            2 => ControlBody::Unwatch { actor, watcher },
            3 => {
                let reason = reason_of(reason).ok_or(WireError::UnknownStopReason { reason })?;
                ControlBody::Terminated { actor, watcher, reason }
            }
            _ => return Err(WireError::UnknownBody { body }),
        };
        if body != 3 && reason != 0 || !rest.get(..6).is_some_and(is_zero) {
            return Err(WireError::Reserved { kind: KIND_CONTROL });
        }
        Ok(read)
    }
}

/// A reason without a number of its own is told as the one that says least: the actor is not there.
fn reason_code(reason: StopReason) -> u8 {
    match reason {
        StopReason::Stopped => 1,
        StopReason::Failed => 2,
        StopReason::Shutdown => 4,
        StopReason::Unreachable => 5,
        _ => 3,
    }
}

fn reason_of(code: u8) -> Option<StopReason> {
    match code {
        1 => Some(StopReason::Stopped),
        2 => Some(StopReason::Failed),
        3 => Some(StopReason::NoActor),
        4 => Some(StopReason::Shutdown),
        5 => Some(StopReason::Unreachable),
        _ => None,
    }
}
