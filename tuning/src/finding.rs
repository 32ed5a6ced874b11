//! What an audit says of one check, and what would mend it.

use crate::cpu_set::CpuSet;
use std::fmt;

/// One check, held against one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check's stable dotted name.
    pub id: &'static str,
    /// What the profile wants, for people.
    pub wanted: String,
    /// What was found, for people; empty when nothing could be.
    pub found: String,
    /// How the two compare.
    pub verdict: Verdict,
    /// What it costs when they differ, as a clause.
    pub effect: &'static str,
    /// Where it was read: paths, with `*` for the parts that differ from device to device.
    pub evidence: Vec<String>,
    /// What would mend it, in order; empty when nothing differs, or when nothing that a program may do would mend it.
    pub changes: Vec<Change>,
}

/// How what was found compares with what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As wanted.
    Ok,
    /// Not as wanted; what would mend it takes effect at once.
    Differs,
    /// The question does not arise on this machine, or it is not this system's to answer: why.
    NotApplicable(String),
    /// The machine did not say, or said something that cannot be understood: why.
    Unreadable(String),
    /// Not as wanted; what would mend it takes effect at the next boot.
    NeedsReboot,
    /// Not as wanted; what would mend it takes a capability that this process does not have.
    NeedsPrivilege(Capability),
}

/// A capability of a Linux process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// The network's settings.
    NetAdmin,
    /// The kernel's settings.
    SysAdmin,
    /// Limits beyond the hard ones.
    SysResource,
}

/// One thing to change, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Writes a file of the kernel. Takes effect at once and is lost at the next boot.
    Write {
        /// The file.
        path: String,
        /// What to write.
        value: String,
        /// What to write to have the present state again. It may differ from what the file shows: a file that shows a
        /// choice in brackets takes the chosen word alone.
        restore: String,
    },
    /// Sets a parameter of the kernel's command line. Takes effect at the next boot.
    Boot {
        /// Its name.
        parameter: &'static str,
        /// Its value; empty for a parameter without one.
        value: String,
    },
    /// Raises a resource limit of the processes that run shards: `/etc/security/limits.d` or a systemd unit.
    Limit {
        /// Its name in `limits.conf`, such as `memlock`.
        item: &'static str,
        /// Its name in a systemd unit, such as `LimitMEMLOCK`.
        directive: &'static str,
        /// Its value in the units of the directive: bytes or a count; `None` is unlimited.
        value: Option<u64>,
        /// Whether the hard limit is in the way, too.
        is_hard: bool,
    },
    /// Makes a partition of control groups, version 2, whose CPUs the scheduler keeps free of everybody else.
    Partition {
        /// Its CPUs.
        cpus: CpuSet,
    },
    /// Sets a variable in a file of `NAME="value"` lines that a service reads when it starts.
    Variable {
        /// The file.
        path: String,
        /// The variable's name.
        name: &'static str,
        /// Its value.
        value: String,
        /// The value it has now; nothing when it is not set.
        restore: Option<String>,
        /// The systemd unit that has to be restarted.
        unit: &'static str,
    },
    /// Sets a property of a network device, as `ethtool` does. Takes effect at once and is lost at the next boot.
    Ethtool {
        /// The device.
        device: String,
        /// The option of `ethtool`, such as `--coalesce`.
        option: &'static str,
        /// The property, such as `rx-usecs`.
        property: &'static str,
        /// What to set.
        value: String,
        /// What to set to have the present state again.
        restore: String,
    },
}

impl Verdict {
    /// Whether somebody should do something about it: it differs, or nobody can tell.
    pub fn is_finding(&self) -> bool {
        !matches!(self, Verdict::Ok | Verdict::NotApplicable(_))
    }

    /// Whether what was found is not as wanted.
    pub fn differs(&self) -> bool {
        matches!(self, Verdict::Differs | Verdict::NeedsReboot | Verdict::NeedsPrivilege(_))
    }

    /// The verdict in one or two words, as the table and the JSON form have it.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Differs => "differs",
            Verdict::NotApplicable(_) => "not applicable",
            Verdict::Unreadable(_) => "unreadable",
            Verdict::NeedsReboot => "needs reboot",
            Verdict::NeedsPrivilege(_) => "needs privilege",
        }
    }

    /// Why, for the verdicts that have a reason of their own.
    pub fn reason(&self) -> Option<String> {
        match self {
            Verdict::Ok | Verdict::Differs | Verdict::NeedsReboot => None,
            Verdict::NotApplicable(why) | Verdict::Unreadable(why) => Some(why.clone()),
            Verdict::NeedsPrivilege(capability) => Some(format!("needs {capability}")),
        }
    }
}

impl Capability {
    /// Its bit in the masks of `/proc/self/status`, after `include/uapi/linux/capability.h`.
    pub(crate) fn bit(self) -> u32 {
        match self {
            Capability::NetAdmin => 12,
            Capability::SysAdmin => 21,
            Capability::SysResource => 24,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::NetAdmin => "CAP_NET_ADMIN",
            Capability::SysAdmin => "CAP_SYS_ADMIN",
            Capability::SysResource => "CAP_SYS_RESOURCE",
        })
    }
}

impl Change {
    /// The capability that making the change takes. The files of the kernel belong to its administrator: a process that
    /// may not administrate cannot count on being let write them.
    pub fn capability(&self) -> Option<Capability> {
        match self {
            Change::Write { path, .. } if path.starts_with("/proc/sys/net/") => {
                Some(Capability::NetAdmin)
            }
            Change::Ethtool { .. } => Some(Capability::NetAdmin),
            Change::Write { .. } | Change::Boot { .. } | Change::Partition { .. } => {
                Some(Capability::SysAdmin)
            }
            Change::Variable { .. } => Some(Capability::SysAdmin),
            Change::Limit { is_hard, .. } => is_hard.then_some(Capability::SysResource),
        }
    }

    /// Whether it takes effect at the next boot only.
    pub fn needs_reboot(&self) -> bool {
        matches!(self, Change::Boot { .. })
    }
}

/// The change in words, as what follows "to mend it,".
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Write { path, value, .. } => write!(f, "write {value} to {path}"),
            Change::Boot { parameter, value } if value.is_empty() => {
                write!(f, "boot with {parameter}")
            }
            Change::Boot { parameter, value } => write!(f, "boot with {parameter}={value}"),
            Change::Limit { directive, value: Some(value), .. } => {
                write!(f, "set {directive}={value}")
            }
            Change::Limit { directive, value: None, .. } => write!(f, "set {directive}=infinity"),
            Change::Partition { cpus } => {
                write!(f, "make an isolated cpuset partition of the CPUs {cpus}")
            }
            Change::Variable { path, name, value, unit, .. } => {
                write!(f, "set {name}=\"{value}\" in {path} and restart {unit}")
            }
            Change::Ethtool { device, option, property, value, .. } => {
                write!(f, "run ethtool {option} {device} {property} {value}")
            }
        }
    }
}
