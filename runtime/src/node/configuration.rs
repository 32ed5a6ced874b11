//! The configuration of a node: the same settings in code and in a TOML file.
//!
//! ```
//! let text = r#"
//!     name = "orders"
//!     cores = "0-1"
//!     idle = "hybrid:20us"
//!
//!     [limits]
//!     ring_bytes = 2097152
//!     stash_bytes = 65536
//! "#;
//! let configuration: mainspring::node::Configuration = text.parse().unwrap();
//! assert_eq!(configuration.limits.stash_bytes, 65536);
//! ```

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use super::cores::Cores;
use super::idle::IdleProfile;
use crate::core::limits::Limits;

/// The largest ring, in bytes.
const RING_LIMIT_BYTES: usize = 1 << 30;

/// Settings of a node.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The node's name, for logs and metrics.
    pub name: String,
    /// Which CPUs.
    pub cores: Cores,
    /// What a core does when there is nothing to do.
    pub idle: IdleProfile,
    /// Limits of each core.
    pub limits: Limits,
    /// Threads for blocking calls.
    pub blocking_threads: usize,
    /// Whether the node logs at its start what the machine does that costs latency.
    pub audit: bool,
}

impl Default for Configuration {
    fn default() -> Self {
        Configuration {
            name: "mainspring".to_owned(),
            cores: Cores::suggested(),
            idle: IdleProfile::default(),
            limits: Limits::default(),
            blocking_threads: 4,
            audit: true,
        }
    }
}

/// Why a configuration cannot be used. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is no TOML, or has a key or a value that does not belong.
    #[error("{place}{source}")]
    Parse {
        /// The file, if it came from one.
        place: String,
        /// Line, column and what is wrong.
        source: Box<toml::de::Error>,
    },
    /// A value is written in a way that is not understood.
    #[error("{key} = {value:?}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// What stands there.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A ring's size is not a power of two, or out of range.
    #[error("limits.{key} = {bytes}: a ring takes a power of two from {least} to {most} bytes")]
    RingBytes {
        /// The key.
        key: &'static str,
        /// Its value.
        bytes: usize,
        /// The smallest that works.
        least: usize,
        /// The largest that works.
        most: usize,
    },
    /// A limit of 0 would let nothing happen.
    #[error("limits.{key} is 0: at least 1 is needed")]
    Zero {
        /// The key.
        key: &'static str,
    },
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    name: Option<String>,
    cores: Option<String>,
    idle: Option<String>,
    blocking_threads: Option<usize>,
    audit: Option<bool>,
    limits: LimitsTable,
}

macro_rules! limits_table {
    ($($field:ident: $kind:ty),* $(,)?) => {
        #[derive(Deserialize, Default)]
        #[serde(deny_unknown_fields, default)]
        struct LimitsTable { $($field: Option<$kind>),* }

        impl LimitsTable {
            fn apply(self, limits: &mut Limits) {
                $(if let Some(value) = self.$field { limits.$field = value; })*
            }
        }

        #[cfg(test)]
        const LIMIT_KEYS: &[&str] = &[$(stringify!($field)),*];

        fn zero_limit(limits: &Limits) -> Option<&'static str> {
            $(if limits.$field == 0 { return Some(stringify!($field)); })*
            None
        }
    };
}

limits_table! {
    actors: usize,
    local_queue_bytes: usize,
    ring_bytes: usize,
    control_ring_bytes: usize,
    client_ring_bytes: usize,
    stash_bytes: usize,
    message_bytes: usize,
    asks: usize,
    timers: usize,
    tasks: usize,
    jobs: usize,
    clients: usize,
    sockets: usize,
    receive_memory_bytes: usize,
    local_budget: u64,
    inbound_budget: u64,
    control_budget: usize,
    timer_budget: usize,
    slow_turn_ns: u64,
}

impl Configuration {
    /// Reads a TOML file. Keys that are left out keep their defaults.
    ///
    /// # Errors
    /// [`ConfigurationError`], with file, line and what is wrong.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ConfigurationError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigurationError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &format!("{}: ", path.display()))
    }

    fn parse(text: &str, place: &str) -> Result<Self, ConfigurationError> {
        let file: File = toml::from_str(text).map_err(|source| ConfigurationError::Parse {
            place: place.to_owned(),
            source: Box::new(source),
        })?;
        let mut configuration = Configuration::default();
        if let Some(name) = file.name {
            configuration.name = name;
        }
        if let Some(value) = file.cores {
            configuration.cores = parsed("cores", value)?;
        }
        if let Some(value) = file.idle {
            configuration.idle = parsed("idle", value)?;
        }
        if let Some(threads) = file.blocking_threads {
            configuration.blocking_threads = threads;
        }
        if let Some(audit) = file.audit {
            configuration.audit = audit;
        }
        file.limits.apply(&mut configuration.limits);
        configuration.check()?;
        Ok(configuration)
    }

    /// Whether a node can run with these settings.
    ///
    /// # Errors
    /// The first value that cannot work.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        if let Some(key) = zero_limit(&self.limits) {
            return Err(ConfigurationError::Zero { key });
        }
        for (key, bytes) in [
            ("ring_bytes", self.limits.ring_bytes),
            ("control_ring_bytes", self.limits.control_ring_bytes),
            ("client_ring_bytes", self.limits.client_ring_bytes),
        ] {
            let (least, most) = (4096, RING_LIMIT_BYTES);
            if !bytes.is_power_of_two() || !(least..=most).contains(&bytes) {
                return Err(ConfigurationError::RingBytes { key, bytes, least, most });
            }
        }
        Ok(())
    }
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(
    key: &'static str,
    value: String,
) -> Result<T, ConfigurationError> {
    value.parse::<T>().map_err(|reason| {
        let reason = reason.to_string();
        ConfigurationError::Value { key, value: value.clone(), reason }
    })
}

impl FromStr for Configuration {
    type Err = ConfigurationError;

    fn from_str(text: &str) -> Result<Self, ConfigurationError> {
        Self::parse(text, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The TOML block of docs/configuration.md.
    fn documented() -> &'static str {
        let page = include_str!("../../../docs/configuration.md");
        let start = page.find("```toml\n").expect("a TOML block") + "```toml\n".len();
        let end = start + page[start..].find("```").expect("its end");
        &page[start..end]
    }

    #[test]
    fn the_documented_limits_are_the_defaults() {
        let documented: Configuration = documented().parse().unwrap();
        assert_eq!(documented.limits, Limits::default());
        assert_eq!(documented.name, Configuration::default().name);
        assert_eq!(documented.idle, Configuration::default().idle);
        assert_eq!(documented.blocking_threads, Configuration::default().blocking_threads);
        assert_eq!(documented.audit, Configuration::default().audit);
    }

    #[test]
    fn every_limit_is_documented() {
        // A limit that the page leaves out would keep its default and hide in the test above.
        for key in LIMIT_KEYS {
            assert!(documented().contains(&format!("\n{key} = ")), "{key}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Configuration::read("no/such/file.toml").unwrap_err().to_string();
        assert!(error.contains("no/such/file.toml"), "{error}");
    }
}
