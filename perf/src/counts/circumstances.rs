//! What has to be the same for two counts of instructions to be compared.
//!
//! Another compiler makes other code; another C library has another allocator; both it and valgrind choose other ways
//! to copy memory on another family of processors.

use std::fs;

use serde::{Deserialize, Serialize};

use super::callgrind;
use crate::raw::c_library;

/// How and where instructions are counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Circumstances {
    /// Compiler, target, profile and the settings that came from the environment.
    pub build: String,
    /// The version of the C library.
    pub c_library: String,
    /// The version of valgrind; none where it is not installed.
    pub valgrind: Option<String>,
    /// The processor's maker and family.
    pub processor: String,
}

impl Circumstances {
    /// Those of this program on this machine.
    pub fn here() -> Self {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Circumstances {
            build: build(),
            c_library: c_library::version(),
            valgrind: callgrind::version(),
            processor: parse_processor(&text),
        }
    }

    /// The first thing in which others differ from these, as half a sentence; none when instructions can be compared.
    pub fn difference_to(&self, others: &Circumstances) -> Option<String> {
        let unknown = || "no valgrind".to_owned();
        let pairs = [
            (self.build.clone(), others.build.clone()),
            (self.c_library.clone(), others.c_library.clone()),
            (
                self.valgrind.clone().unwrap_or_else(unknown),
                others.valgrind.clone().unwrap_or_else(unknown),
            ),
            (self.processor.clone(), others.processor.clone()),
        ];
        let (own, other) = pairs.into_iter().find(|(own, other)| own != other)?;
        Some(format!("{other} there and {own} here"))
    }
}

fn build() -> String {
    let parts = [
        env!("MAINSPRING_RUSTC"),
        env!("MAINSPRING_TARGET"),
        env!("MAINSPRING_PROFILE"),
        env!("MAINSPRING_BUILD_SETTINGS"),
    ];
    let known: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    known.join(", ")
}

/// Maker and family of the first processor in `/proc/cpuinfo`; the architecture where it does not tell them.
fn parse_processor(text: &str) -> String {
    let value = |key: &str| {
        let mut rows = text.lines().filter_map(|line| line.split_once(':'));
        rows.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
    };
    match (value("vendor_id"), value("cpu family")) {
        (Some(vendor), Some(family)) => format!("{vendor} family {family}"),
        _ => match (value("CPU implementer"), value("CPU part")) {
            (Some(implementer), Some(part)) => format!("implementer {implementer} part {part}"),
            _ => std::env::consts::ARCH.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maker_and_family_are_read() {
        let text = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n";
        assert_eq!(parse_processor(text), "AuthenticAMD family 25");
        let text = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";
        assert_eq!(parse_processor(text), "implementer 0x41 part 0xd0c");
        assert_eq!(parse_processor("processor: 0\n"), std::env::consts::ARCH);
    }

    #[test]
    fn circumstances_that_differ_are_named() {
        let here = Circumstances::here();
        assert!(here.build.contains("rustc "), "{}", here.build);
        assert_eq!(here.difference_to(&here.clone()), None);
        let others = Circumstances { processor: "AuthenticAMD family 3".into(), ..here.clone() };
        let difference = here.difference_to(&others).expect("another processor");
        assert!(difference.starts_with("AuthenticAMD family 3 there and "), "{difference}");
        let valgrind = Circumstances { valgrind: Some("valgrind-0".into()), ..here.clone() };
        assert!(here.difference_to(&valgrind).is_some());
    }
}
