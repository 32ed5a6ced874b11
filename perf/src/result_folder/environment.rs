//! What has to be known of a run beside its figures: the machine, the build, the revision and where the run was put.

use mainspring_tuning::SysRoot;
use serde::Serialize;

use super::machine::Machine;
use super::repository::Repository;

/// `env.json`. What the machine does not tell is left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Environment {
    /// The machine.
    #[serde(flatten)]
    pub machine: Machine,
    /// The program.
    pub versions: Versions,
    /// The CPUs that the run was given.
    pub cpus_of_the_run: Vec<usize>,
}

/// What the program was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Versions {
    /// The version of this crate.
    pub mainspring_perf: &'static str,
    /// The compiler.
    pub rustc: &'static str,
    /// What it was compiled for.
    pub target: &'static str,
    /// `release` or `debug`.
    pub profile: &'static str,
    /// The commit of the sources, as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whether files differ from that commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<bool>,
}

impl Environment {
    /// Reads what this machine tells, for a run on these CPUs.
    pub fn of_this_machine(cpus: &[usize]) -> Environment {
        let repository = Repository::of_this_program();
        let versions = Versions {
            mainspring_perf: env!("CARGO_PKG_VERSION"),
            rustc: env!("MAINSPRING_RUSTC"),
            target: env!("MAINSPRING_TARGET"),
            profile: env!("MAINSPRING_PROFILE"),
            revision: repository.commit,
            changed: repository.is_changed,
        };
        let machine = Machine::read(&SysRoot::real(), cpus);
        Environment { machine, versions, cpus_of_the_run: cpus.to_vec() }
    }

    /// One JSON object, indented.
    ///
    /// # Errors
    /// What the writer says.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_this_build_are_told() {
        let json = Environment::of_this_machine(&[0]).to_json().expect("it can be written");
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert!(
            json["versions"]["rustc"].as_str().expect("told").starts_with("rustc 1."),
            "{json}"
        );
        assert_eq!(json["cpus_of_the_run"], serde_json::json!([0]));
        assert!(json["kernel"]["release"].is_string(), "{json}");
    }
}
