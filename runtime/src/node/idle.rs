//! What a core does when it finds no work: the choice between latency and electricity.
//!
//! An [`IdleProfile`] is a setting and nothing more; it is read and written as the text `busy`, `hybrid`,
//! `hybrid:20us` or `eco`.
//!
//! ```
//! use std::time::Duration;
//! use mainspring::node::idle::IdleProfile;
//!
//! let profile: IdleProfile = "hybrid:20us".parse()?;
//! assert_eq!(profile, IdleProfile::Hybrid { spin: Duration::from_micros(20) });
//! assert_eq!(profile.to_string(), "hybrid:20us");
//! # Ok::<(), mainspring::node::idle::IdleProfileError>(())
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long a hybrid core looks for work before it sleeps, unless told otherwise.
///
/// Sleeping and being woken costs a core some 5 to 15 µs, so looking for 50 µs at most makes an idle period that
/// ends soon as cheap as possible without burning much in one that does not. On bare metal with cores set aside,
/// 200 µs is common practice; a core that must always answer at once is `busy`.
pub const DEFAULT_SPIN: Duration = Duration::from_micros(50);

/// The longest time a hybrid core may look for work before it sleeps. Beyond it, say `busy`.
pub const MAX_SPIN: Duration = Duration::from_secs(1);

/// What a core does when it finds no work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdleProfile {
    /// Looks again, for ever: the lowest latency, and a processor at full load. For cores set aside for one node.
    Busy,
    /// Looks again for a while, then sleeps until it is woken or a timer is due.
    Hybrid {
        /// How long it looks.
        spin: Duration,
    },
    /// Sleeps at once: a wake-up on every message that finds the core idle, and no load when there is none.
    Eco,
}

impl IdleProfile {
    /// How long a core looks for work before it sleeps; `None` if it never sleeps.
    pub fn spin(self) -> Option<Duration> {
        match self {
            IdleProfile::Busy => None,
            IdleProfile::Hybrid { spin } => Some(spin),
            IdleProfile::Eco => Some(Duration::ZERO),
        }
    }
}

impl Default for IdleProfile {
    fn default() -> IdleProfile {
        IdleProfile::Hybrid { spin: DEFAULT_SPIN }
    }
}

impl fmt::Display for IdleProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdleProfile::Busy => f.write_str("busy"),
            IdleProfile::Hybrid { spin } if *spin == DEFAULT_SPIN => f.write_str("hybrid"),
            IdleProfile::Hybrid { spin } => {
                let nanos = spin.as_nanos();
                match nanos {
                    _ if nanos % 1_000_000 == 0 => write!(f, "hybrid:{}ms", nanos / 1_000_000),
                    _ if nanos % 1_000 == 0 => write!(f, "hybrid:{}us", nanos / 1_000),
                    _ => write!(f, "hybrid:{nanos}ns"),
                }
            }
            IdleProfile::Eco => f.write_str("eco"),
        }
    }
}

/// A text that is no idle profile. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no idle profile: {problem}. Use busy, hybrid, hybrid:<time> (such as hybrid:20us) or eco"
)]
pub struct IdleProfileError {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl FromStr for IdleProfile {
    type Err = IdleProfileError;

    fn from_str(text: &str) -> Result<IdleProfile, IdleProfileError> {
        let refuse = |problem| IdleProfileError { text: text.to_owned(), problem };
        match text.trim().split_once(':') {
            None => match text.trim() {
                "busy" => Ok(IdleProfile::Busy),
                "hybrid" => Ok(IdleProfile::default()),
                "eco" => Ok(IdleProfile::Eco),
                _ => Err(refuse("the name is unknown")),
            },
            Some(("hybrid", time)) => {
                spin_time(time).map(|spin| IdleProfile::Hybrid { spin }).map_err(refuse)
            }
            Some(_) => Err(refuse("only hybrid takes a time")),
        }
    }
}

impl serde::Serialize for IdleProfile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for IdleProfile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<IdleProfile, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn spin_time(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "the time must be a whole number with a unit")?;
    let unit_ns: u64 = match unit.trim() {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        _ => return Err("the unit of the time must be ns, us or ms"),
    };
    let spin = number.checked_mul(unit_ns).map(Duration::from_nanos);
    spin.filter(|spin| *spin <= MAX_SPIN)
        .ok_or("the time is longer than 1 s; a core that never sleeps is busy")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{DEFAULT_SPIN, IdleProfile, MAX_SPIN};

    #[test]
    fn every_written_form_is_understood() {
        let hybrid = |spin| Ok(IdleProfile::Hybrid { spin });
        assert_eq!("busy".parse(), Ok(IdleProfile::Busy));
        assert_eq!(" eco ".parse(), Ok(IdleProfile::Eco));
        assert_eq!("hybrid".parse(), hybrid(DEFAULT_SPIN));
        assert_eq!("hybrid:20us".parse(), hybrid(Duration::from_micros(20)));
        assert_eq!("hybrid:20µs".parse(), hybrid(Duration::from_micros(20)));
        assert_eq!("hybrid: 3 ms".parse(), hybrid(Duration::from_millis(3)));
        assert_eq!("hybrid:0ns".parse(), hybrid(Duration::ZERO));
    }

    #[test]
    fn a_refusal_says_what_was_given_and_what_is_wanted() {
        for (text, problem) in [
            ("turbo", "unknown"),
            ("", "unknown"),
            ("eco:5us", "only hybrid"),
            ("hybrid:", "whole number"),
            ("hybrid:5", "unit"),
            ("hybrid:-5us", "whole number"),
            ("hybrid:1001ms", "longer than 1 s"),
            ("hybrid:18446744073709551615ms", "longer than 1 s"),
        ] {
            let error = text.parse::<IdleProfile>().expect_err(text);
            assert_eq!(error.text, text);
            assert!(error.problem.contains(problem), "{text:?}: {error}");
            assert!(error.to_string().contains("hybrid:20us"), "{error}");
        }
    }

    #[test]
    fn a_busy_core_never_sleeps_and_an_eco_core_sleeps_at_once() {
        assert_eq!(IdleProfile::Busy.spin(), None);
        assert_eq!(IdleProfile::Eco.spin(), Some(Duration::ZERO));
        assert_eq!(IdleProfile::default().spin(), Some(DEFAULT_SPIN));
    }

    #[test]
    fn a_configuration_file_holds_the_written_form() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Section {
            idle: IdleProfile,
        }
        let section: Section = toml::from_str("idle = \"hybrid:7us\"").expect("a valid section");
        assert_eq!(
            toml::to_string(&section).expect("it can be written"),
            "idle = \"hybrid:7us\"\n"
        );
        assert!(toml::from_str::<Section>("idle = \"never\"").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ns in 0..=MAX_SPIN.as_nanos() as u64) {
            let profile = IdleProfile::Hybrid { spin: Duration::from_nanos(ns) };
            prop_assert_eq!(profile.to_string().parse(), Ok(profile));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = text.parse::<IdleProfile>();
        }
    }
}
