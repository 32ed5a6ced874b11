//! What would bring a machine to a profile: the changes of an audit's findings, as steps in the order in which they are
//! made.
//!
//! Promises: a pure function of the findings. The same steps are shown, printed as scripts, made and taken back.
//! What takes effect at the next boot only, and what a person should do, stands apart and is never a step.
//!
//! Invariant: steps are taken back in reverse order, so a step may rely on those before it, both ways.

use crate::audit::Audit;
use crate::finding::{Capability, Change};
use std::fmt;

/// The most steps that are made.
pub const STEP_LIMIT: usize = 1 << 16;

/// What would bring a machine to a profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What can be done while the machine runs, in order.
    pub actions: Vec<Action>,
    /// Parameters of the kernel's command line, which take effect at the next boot.
    pub boot: Vec<BootItem>,
    /// What differs and is left to a person.
    pub by_hand: Vec<HandItem>,
    /// The resource limits among the actions, as directives of a systemd unit.
    pub directives: Vec<String>,
}

/// A step, and which check asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The check's id; of a step that serves several, their ids with `+` between.
    pub id: String,
    /// What the difference costs.
    pub effect: &'static str,
    /// What to do.
    pub step: Step,
    /// The capability that it takes, beside being let write the file.
    pub needs: Option<Capability>,
}

/// A parameter of the kernel's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootItem {
    /// The check's id.
    pub id: &'static str,
    /// What the difference costs.
    pub effect: &'static str,
    /// The parameter's name.
    pub parameter: &'static str,
    /// Its value; empty for a parameter without one.
    pub value: String,
}

/// Something that no program should do by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandItem {
    /// The check's id.
    pub id: &'static str,
    /// What to do, in words.
    pub what: String,
    /// Why it is left to a person.
    pub why: &'static str,
}

/// One thing to do, with all that is needed to take it back but what the file held.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "command", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "command", serde(tag = "kind", rename_all = "snake_case"))]
pub enum Step {
    /// Writes a file of the kernel.
    Write {
        /// The file.
        path: String,
        /// What to write.
        value: String,
        /// What to write to have the present state again; nothing for a file that goes with its directory.
        restore: Option<String>,
    },
    /// Switches a controller on for the control groups below.
    Controller {
        /// The file that lists the controllers that are on.
        path: String,
        /// The controller.
        name: String,
    },
    /// Makes a directory.
    Directory {
        /// The directory.
        path: String,
    },
    /// Makes a file of settings that is the tuner's alone.
    OwnFile {
        /// The file.
        path: String,
        /// All that it holds.
        text: String,
    },
    /// Sets a variable in a file of `NAME="value"` lines, and has the service read it.
    Variable {
        /// The file.
        path: String,
        /// The variable.
        name: String,
        /// Its value.
        value: String,
        /// The value it had; nothing when it was not set.
        restore: Option<String>,
        /// The systemd unit that reads it at its start.
        unit: String,
    },
    /// Sets a property of a network device by `ethtool`.
    Ethtool {
        /// The device.
        device: String,
        /// The option, such as `--coalesce`.
        option: String,
        /// The property.
        property: String,
        /// Its value.
        value: String,
        /// The value it had.
        restore: String,
    },
}

impl Plan {
    /// Orders what would mend the findings of an audit.
    pub fn of(audit: &Audit) -> Plan {
        let mut plan = Plan::default();
        let mut limits: Vec<Limit> = Vec::new();
        for finding in audit.findings.iter().filter(|finding| finding.verdict.differs()) {
            let (id, effect) = (finding.id, finding.effect);
            if finding.changes.is_empty() {
                let what = format!("wanted {}, found {}", finding.wanted, finding.found);
                plan.by_hand.push(HandItem { id, what, why: NO_CHANGE });
            }
            for change in &finding.changes {
                if let Change::Limit { item, directive, value, is_hard } = change {
                    let (value, is_hard) = (*value, *is_hard);
                    limits.push(Limit { id, effect, item, directive, value, is_hard });
                    continue;
                }
                plan.take(id, effect, change);
            }
        }
        plan.take_limits(&limits);
        plan.actions.sort_by_key(Action::rank);
        plan
    }

    /// Whether there is nothing to do, not even at a boot or by hand.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.boot.is_empty() && self.by_hand.is_empty()
    }

    fn take(&mut self, id: &'static str, effect: &'static str, change: &Change) {
        let needs = change.capability();
        let mut act = |step| self.actions.push(Action { id: id.to_owned(), effect, step, needs });
        match change {
            Change::Write { path, value, restore } => act(Step::Write {
                path: path.clone(),
                value: value.clone(),
                restore: Some(restore.clone()),
            }),
            Change::Partition { cpus } => partition(&cpus.to_string()).into_iter().for_each(act),
            Change::Variable { path, name, value, restore, unit } => act(Step::Variable {
                path: path.clone(),
                name: (*name).to_owned(),
                value: value.clone(),
                restore: restore.clone(),
                unit: (*unit).to_owned(),
            }),
            Change::Ethtool { device, option, property, value, restore } if *option == COALESCE => {
                act(Step::Ethtool {
                    device: device.clone(),
                    option: (*option).to_owned(),
                    property: (*property).to_owned(),
                    value: value.clone(),
                    restore: restore.clone(),
                });
            }
            Change::Ethtool { .. } => {
                self.by_hand.push(HandItem { id, what: change.to_string(), why: RESETS_DEVICE });
            }
            Change::Boot { parameter, value } => {
                self.boot.push(BootItem { id, effect, parameter, value: value.clone() });
            }
            // They share a file: `take_limits`.
            Change::Limit { .. } => {}
        }
    }

    fn take_limits(&mut self, limits: &[Limit]) {
        let Some(first) = limits.first() else { return };
        let ids: Vec<&str> = limits.iter().map(|limit| limit.id).collect();
        let id = ids.join("+");
        let is_hard = limits.iter().any(|limit| limit.is_hard);
        let needs = is_hard.then_some(Capability::SysResource);
        let text: String = limits.iter().map(Limit::lines).collect();
        self.directives = limits.iter().map(Limit::directive).collect();
        let directories = LIMITS_DIRECTORIES.map(|path| Step::Directory { path: path.to_owned() });
        let file = Step::OwnFile { path: LIMITS_FILE.to_owned(), text };
        for step in directories.into_iter().chain([file]) {
            self.actions.push(Action { id: id.clone(), effect: first.effect, step, needs });
        }
    }
}

/// The directory of the control group whose CPUs are kept free of everybody else.
pub const PARTITION: &str = "/sys/fs/cgroup/mainspring";

/// The file that raises resource limits, read whenever somebody logs in.
pub const LIMITS_FILE: &str = "/etc/security/limits.d/90-mainspring-tune.conf";
const LIMITS_DIRECTORIES: [&str; 2] = ["/etc/security", "/etc/security/limits.d"];

const COALESCE: &str = "--coalesce";
const RESETS_DEVICE: &str = "the link goes down for a moment, and the device's interrupts get new numbers: do it \
    first, then audit again";
const NO_CHANGE: &str = "nothing that a program may do would mend it";

/// A control group of its own, whose CPUs are taken from all others.
fn partition(cpus: &str) -> [Step; 4] {
    let file = |name: &str, value: &str| Step::Write {
        path: format!("{PARTITION}/{name}"),
        value: value.to_owned(),
        restore: None,
    };
    [
        Step::Controller {
            path: "/sys/fs/cgroup/cgroup.subtree_control".to_owned(),
            name: "cpuset".to_owned(),
        },
        Step::Directory { path: PARTITION.to_owned() },
        file("cpuset.cpus", cpus),
        file("cpuset.cpus.partition", "isolated"),
    ]
}

/// A resource limit to raise.
struct Limit {
    id: &'static str,
    effect: &'static str,
    item: &'static str,
    directive: &'static str,
    value: Option<u64>,
    is_hard: bool,
}

impl Limit {
    /// Its line in a unit.
    fn directive(&self) -> String {
        match self.value {
            None => format!("{}=infinity", self.directive),
            Some(value) => format!("{}={value}", self.directive),
        }
    }

    /// Its lines in `limits.conf`: for everybody, and for the administrator, whom `*` leaves out.
    fn lines(&self) -> String {
        let value = match self.value {
            None => "unlimited".to_owned(),
            // There memory is counted in units of 1024 bytes.
            Some(bytes) if self.directive == "LimitMEMLOCK" => bytes.div_ceil(1024).to_string(),
            Some(count) => count.to_string(),
        };
        let line = |who| format!("{who:<4} - {} {value}\n", self.item);
        line("*") + &line("root")
    }
}

impl Action {
    /// What goes before what.
    fn rank(&self) -> u8 {
        match &self.step {
            // The daemon first: it would move interrupts back.
            Step::Variable { .. } => 0,
            // Under the governor `performance` the kernel refuses any other preference, also on the way back.
            Step::Write { .. } if self.id == "cpu.energy_preference" => 1,
            Step::Write { path, .. } if path.starts_with(PARTITION) => 5,
            Step::Controller { .. } => 5,
            Step::Directory { path } if path == PARTITION => 5,
            // CPUs that are switched off take their files with them.
            Step::Write { .. } if self.id == "cpu.smt" => 6,
            Step::Write { .. } => 2,
            Step::Ethtool { .. } => 3,
            Step::Directory { .. } | Step::OwnFile { .. } => 4,
        }
    }
}

impl Step {
    /// The file, directory or device that it changes.
    pub fn place(&self) -> &str {
        match self {
            Step::Write { path, .. }
            | Step::Controller { path, .. }
            | Step::Directory { path }
            | Step::OwnFile { path, .. }
            | Step::Variable { path, .. } => path,
            Step::Ethtool { device, .. } => device,
        }
    }

    /// Whether both write the same value to files of the same name, as of one CPU and the next.
    pub fn is_like(&self, other: &Step) -> bool {
        let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
        match (self, other) {
            (
                Step::Write { path, value, .. },
                Step::Write { path: other_path, value: other_value, .. },
            ) => value == other_value && name(path) == name(other_path),
            _ => false,
        }
    }

    /// Whether what it does outlives a boot.
    pub fn outlives_boot(&self) -> bool {
        match self {
            Step::OwnFile { .. } | Step::Variable { .. } => true,
            Step::Directory { path } => path != PARTITION,
            Step::Write { .. } | Step::Controller { .. } | Step::Ethtool { .. } => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Write { path, value, .. } => write!(f, "write {value} to {path}"),
            Step::Controller { path, name } => write!(f, "switch {name} on in {path}"),
            Step::Directory { path } => write!(f, "make the directory {path}"),
            Step::OwnFile { path, .. } => write!(f, "make the file {path}"),
            Step::Variable { path, name, value, unit, .. } => {
                write!(f, "set {name}=\"{value}\" in {path} and restart {unit}")
            }
            Step::Ethtool { device, option, property, value, .. } => {
                write!(f, "run ethtool {option} {device} {property} {value}")
            }
        }
    }
}

impl BootItem {
    /// As it stands on the command line.
    pub fn text(&self) -> String {
        match self.value.as_str() {
            "" => self.parameter.to_owned(),
            value => format!("{}={value}", self.parameter),
        }
    }
}
