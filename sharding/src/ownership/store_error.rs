//! What can be wrong with a shared store, and what to do about it.

/// Why a question to a shared store failed, or why there is no access to one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nobody answered at any of the addresses.
    #[error(
        "no ownership store answers at {addresses}: {reason}; check the addresses and that it runs"
    )]
    Unreachable {
        /// Where it was looked for.
        addresses: String,
        /// What the last attempt ended with.
        reason: String,
    },
    /// It answers, and cannot decide anything.
    #[error(
        "the ownership store at {addresses} has no leader: {reason}; start enough of its members \
         for a majority"
    )]
    NoMajority {
        /// Where it was asked.
        addresses: String,
        /// Its own words.
        reason: String,
    },
    /// It does not let this node in.
    #[error(
        "the ownership store at {addresses} refuses user {user:?}: {reason}; check name, password \
         and that its role may read and write below {prefix:?}"
    )]
    NotPermitted {
        /// Where it was asked.
        addresses: String,
        /// Under which name; empty for none.
        user: String,
        /// Below which keys this cluster works.
        prefix: String,
        /// Its own words.
        reason: String,
    },
    /// Another life of a node is present under the same incarnation.
    #[error(
        "incarnation {incarnation} is registered already, by {address}; start the node again, \
         and check that its clock is right"
    )]
    IncarnationTaken {
        /// Which.
        incarnation: u64,
        /// Where the other one listens.
        address: String,
    },
    /// A key of the cluster holds something else.
    #[error(
        "key {key:?} of the ownership store holds what no node of this cluster writes; choose \
         another prefix, or delete the key"
    )]
    ForeignRecord {
        /// Which key.
        key: String,
    },
    /// The settings cannot work.
    #[error("the ownership store cannot be used as it is set: {reason}")]
    Settings {
        /// What is wrong, and what would do.
        reason: String,
    },
    /// There is no thread for it.
    #[error("no thread for the ownership store: {reason}; raise the limit of threads (ulimit -u)")]
    NoThread {
        /// What the system says.
        reason: String,
    },
    /// The store refused for a reason of its own.
    #[error("the ownership store at {addresses} failed: {reason}")]
    Other {
        /// Where it was asked.
        addresses: String,
        /// Its own words.
        reason: String,
    },
}
