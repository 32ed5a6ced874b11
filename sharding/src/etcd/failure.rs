//! What a failed call to etcd means: what may have happened, and whether to ask another member.

use etcd_client::Error;

use super::Etcd;
use crate::ownership::StoreError;

// Codes of gRPC, as its specification numbers them.
const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const FAILED_PRECONDITION: i32 = 9;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

/// A call that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// Whether it may have happened nevertheless.
    pub(super) may_have_happened: bool,
    /// Whether another member may do better.
    pub(super) is_the_members: bool,
    /// Whether etcd says that what was asked about is not there.
    pub(super) is_not_found: bool,
}

impl Failure {
    /// No answer came in time.
    pub(super) fn late(settings: &Etcd) -> Failure {
        let reason = "no answer in time".to_owned();
        Failure {
            error: StoreError::Unreachable { addresses: settings.address_list(), reason },
            may_have_happened: true,
            is_the_members: true,
            is_not_found: false,
        }
    }

    /// Nothing was sent.
    pub(super) fn unsent(error: StoreError) -> Failure {
        Failure { error, may_have_happened: false, is_the_members: false, is_not_found: false }
    }

    /// An answer that no etcd gives.
    pub(super) fn malformed(settings: &Etcd, what: &str) -> Failure {
        let reason = format!("an answer without {what}");
        Failure {
            error: StoreError::Other { addresses: settings.address_list(), reason },
            may_have_happened: true,
            is_the_members: true,
            is_not_found: false,
        }
    }

    pub(super) fn of(settings: &Etcd, error: Error) -> Failure {
        match error {
            Error::GRpcStatus(status) => {
                Failure::of_status(settings, status.code() as i32, status.message())
            }
            other => Failure {
                error: StoreError::Unreachable {
                    addresses: settings.address_list(),
                    reason: other.to_string(),
                },
                may_have_happened: true,
                is_the_members: true,
                is_not_found: false,
            },
        }
    }

    fn of_status(settings: &Etcd, code: i32, message: &str) -> Failure {
        let addresses = settings.address_list();
        let reason = message.to_owned();
        let leaderless = message.contains("no leader");
        let refused = matches!(
            code,
            INVALID_ARGUMENT
                | NOT_FOUND
                | PERMISSION_DENIED
                | RESOURCE_EXHAUSTED
                | FAILED_PRECONDITION
                | UNAUTHENTICATED
        );
        let about_user = message.contains("auth") || message.contains("user name");
        let error = match code {
            PERMISSION_DENIED | UNAUTHENTICATED => not_permitted(settings, reason),
            INVALID_ARGUMENT | FAILED_PRECONDITION if about_user => not_permitted(settings, reason),
            UNAVAILABLE if message.starts_with("etcdserver:") => {
                StoreError::NoMajority { addresses, reason }
            }
            _ if refused => StoreError::Other { addresses, reason },
            _ => StoreError::Unreachable { addresses, reason },
        };
        Failure {
            error,
            may_have_happened: !refused && !leaderless,
            is_the_members: !refused,
            is_not_found: code == NOT_FOUND,
        }
    }
}

fn not_permitted(settings: &Etcd, reason: String) -> StoreError {
    StoreError::NotPermitted {
        addresses: settings.address_list(),
        user: settings.user.clone(),
        prefix: settings.prefix.clone(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32, message: &str) -> Failure {
        Failure::of_status(&Etcd::at(["a:1"]), code, message)
    }

    #[test]
    fn what_etcd_refused_surely_did_not_happen() {
        for code in [3, 5, 7, 8, 9, 16] {
            assert!(!of(code, "etcdserver: no").may_have_happened, "{code}");
        }
        assert!(!of(14, "etcdserver: no leader").may_have_happened, "it was not proposed");
    }

    #[test]
    fn what_etcd_did_not_answer_may_have_happened() {
        for (code, message) in [
            (14, "etcdserver: request timed out"),
            (14, "broken pipe"),
            (2, "h2"),
            (4, "late"),
            (1, "x"),
        ] {
            let failure = of(code, message);
            assert!(failure.may_have_happened && failure.is_the_members, "{code} {message}");
        }
    }

    #[test]
    fn the_error_names_what_to_do() {
        let wrong = of(3, "etcdserver: authentication failed, invalid user ID or password");
        assert!(matches!(wrong.error, StoreError::NotPermitted { .. }));
        assert!(matches!(
            of(3, "etcdserver: user name is empty").error,
            StoreError::NotPermitted { .. }
        ));
        assert!(matches!(
            of(7, "etcdserver: permission denied").error,
            StoreError::NotPermitted { .. }
        ));
        assert!(matches!(of(14, "etcdserver: no leader").error, StoreError::NoMajority { .. }));
        assert!(matches!(of(14, "error trying to connect").error, StoreError::Unreachable { .. }));
        assert!(matches!(of(8, "mvcc: database space exceeded").error, StoreError::Other { .. }));
    }
}
