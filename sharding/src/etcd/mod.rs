//! The shared store in etcd.
//!
//! What it holds, below a prefix:
//!
//! | key | value | lease |
//! |---|---|---|
//! | `PREFIX/node/INCARNATION` | where the node listens | the node's own |
//! | `PREFIX/own/TYPE/SHARD` | owner, and who gave it | none; its revision is the epoch |
//! | `PREFIX/lease/NAME` | which node has it, by which request | one of its own |
//!
//! A thread of its own talks to etcd; the core only puts questions into a queue and takes news from another. One member
//! of etcd is asked at a time; when it fails, does not answer in time or has no leader, the next one is asked.
//!
//! Promises: a change is one transaction that compares epoch and presence, is sent once, and is
//! [`Unknown`](super::ownership::StoreAnswer::Unknown) when its answer does not come. A lease counts as kept only if
//! the term of etcd's leader was the same before it was kept and after a read through the majority: a former leader
//! that does not know yet can keep nothing. The end of a lease is reckoned by `CLOCK_BOOTTIME`, which goes on while the
//! machine is suspended.
//!
//! Refuses: etcd's locks, which may be held twice, and addresses with TLS.

mod access;
mod boot_clock;
mod control;
mod decision;
mod failure;
mod known;
mod mailbox;
mod named_lease;
mod presence;
mod record;
mod session;
mod watcher;

pub use access::EtcdAccess;

use std::time::Duration;

use crate::ownership::{ClusterStore, LeaseSettings, OpenStore, StoreError};

/// How long an answer of etcd is waited for before the outcome is called unknown.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Questions that are with etcd at once; others wait for those.
pub const CONCURRENCY_LIMIT: usize = 64;
/// News that wait for the core; beyond it etcd is read no further.
pub const NEWS_LIMIT: usize = 65_536;
/// Addresses of members.
pub const ADDRESS_LIMIT: usize = 64;

const SECOND_NS: u64 = 1_000_000_000;

/// Where etcd is, and how it is used.
///
/// ```
/// use mainspring_sharding::etcd::Etcd;
///
/// let store = Etcd::at(["10.0.0.9:2379", "10.0.0.10:2379"]).prefix("shop").ttl_seconds(5);
/// ```
#[derive(Clone, Debug)]
pub struct Etcd {
    pub(crate) addresses: Vec<String>,
    pub(crate) prefix: String,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) lease: LeaseSettings,
}

/// Not shown.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not shown")
    }
}

impl Etcd {
    /// The addresses of its members, `host:port` or `http://host:port`.
    pub fn at<A: Into<String>>(addresses: impl IntoIterator<Item = A>) -> Etcd {
        Etcd {
            addresses: addresses.into_iter().map(Into::into).collect(),
            prefix: "mainspring".to_owned(),
            user: String::new(),
            password: Secret(String::new()),
            lease: LeaseSettings::default(),
        }
    }

    /// Below which keys this cluster works: `mainspring` unless it is set. Two clusters need two.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Etcd {
        self.prefix = prefix.into();
        self
    }

    /// As whom to log in, where etcd asks for it.
    pub fn user(mut self, name: impl Into<String>) -> Etcd {
        self.user = name.into();
        self
    }

    /// The password of the user.
    pub fn password(mut self, password: impl Into<String>) -> Etcd {
        self.password = Secret(password.into());
        self
    }

    /// How long a node stays present that etcd does not hear of, in seconds: 5 unless it is set. Everything else about
    /// the lease follows from it ([`LeaseSettings::for_ttl`]).
    pub fn ttl_seconds(mut self, seconds: u32) -> Etcd {
        self.lease = LeaseSettings::for_ttl(u64::from(seconds) * SECOND_NS);
        self
    }

    /// All about the lease. The time to live is rounded up to seconds, as etcd counts.
    pub fn lease(mut self, lease: LeaseSettings) -> Etcd {
        self.lease = lease;
        self
    }

    /// Starts the thread. It does not wait for etcd.
    ///
    /// # Errors
    /// [`StoreError::Settings`] for settings that cannot work, [`StoreError::NoThread`] without a thread.
    pub fn start(&self) -> Result<EtcdAccess, StoreError> {
        self.check()?;
        EtcdAccess::start(self.clone())
    }

    pub(crate) fn address_list(&self) -> String {
        self.addresses.join(", ")
    }

    /// The time to live that etcd is asked for.
    pub(crate) fn ttl_in_seconds(&self) -> i64 {
        i64::try_from(self.lease.ttl_ns.div_ceil(SECOND_NS)).unwrap_or(i64::MAX)
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let refused = |reason: String| Err(StoreError::Settings { reason });
        if self.addresses.is_empty() || self.addresses.len() > ADDRESS_LIMIT {
            let count = self.addresses.len();
            return refused(format!(
                "{count} addresses; name 1 to {ADDRESS_LIMIT} members of etcd"
            ));
        }
        if let Some(address) = self.addresses.iter().find(|address| !is_address(address)) {
            return refused(format!(
                "{address:?} is no address of etcd; write host:port or http://host:port (TLS is not offered)"
            ));
        }
        if self.prefix.trim_matches('/').is_empty() || self.prefix.ends_with('/') {
            return refused(format!(
                "prefix {:?}; name one, without a slash at its end",
                self.prefix
            ));
        }
        if self.user.is_empty() != self.password.0.is_empty() {
            return refused("user without password, or the reverse; give both".to_owned());
        }
        if self.lease.ttl_ns < 2 * SECOND_NS {
            return refused("a lease of less than 2 s, which etcd does not grant".to_owned());
        }
        self.lease.check().or_else(|error| refused(error.to_string()))
    }
}

fn is_address(address: &str) -> bool {
    let bare = address.strip_prefix("http://").unwrap_or(address);
    bare.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

impl OpenStore for Etcd {
    fn open(&self) -> Result<Box<dyn ClusterStore + Send>, StoreError> {
        Ok(Box::new(self.start()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(settings: Etcd) -> String {
        settings.start().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn settings_that_cannot_work_are_refused_before_anything_starts() {
        let none: [&str; 0] = [];
        assert!(refusal(Etcd::at(none)).contains("0 addresses"));
        for address in ["https://a:1", "a", "a:x", "a:0", "http://a/b:1", ":1"] {
            assert!(refusal(Etcd::at([address])).contains(address), "{address}");
        }
        assert!(refusal(Etcd::at(["a:1"]).prefix("")).contains("prefix"));
        assert!(refusal(Etcd::at(["a:1"]).prefix("a/")).contains("prefix"));
        assert!(refusal(Etcd::at(["a:1"]).user("u")).contains("password"));
        assert!(refusal(Etcd::at(["a:1"]).ttl_seconds(1)).contains("less than 2 s"));
        let lease = LeaseSettings { margin_ns: 4 * SECOND_NS, ..LeaseSettings::default() };
        assert!(refusal(Etcd::at(["a:1"]).lease(lease)).contains("lower the margin"));
    }

    #[test]
    fn a_password_is_not_shown() {
        let settings = Etcd::at(["a:1"]).user("u").password("hush");
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
