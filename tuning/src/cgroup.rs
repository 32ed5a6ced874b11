//! The cpuset of this process's control group, in either version of control groups.
//!
//! Promises: the CPUs that the group may really use (its effective ones), whichever version manages cpusets on the
//! machine, with or without a cgroup namespace. A machine without cpusets has none; that is no problem.

use crate::cpu_set::{CpuListError, CpuSet};
use crate::note::Problem;
use crate::sys_root::{ReadError, SysRoot};
use std::path::{Component, Path, PathBuf};

/// Why the cpuset could not be told, and which file is to blame.
pub(crate) struct CpusetProblem {
    pub(crate) path: String,
    pub(crate) problem: Problem,
}

/// The effective cpuset of this process; `None` when no cpuset controller is in force.
pub(crate) fn cpuset(root: &SysRoot) -> Result<Option<CpuSet>, CpusetProblem> {
    let groups = read(root, GROUPS_PATH)?;
    let group =
        group_of(&groups, CPUSET).map_err(|error| problem(Path::new(GROUPS_PATH), error))?;
    let Some((version, group)) = group else { return Ok(None) };
    let mounts = read(root, MOUNTS_PATH)?;
    let Some(mount) =
        mounts.lines().filter_map(Mount::parse).find(|mount| mount.is_for(version, CPUSET))
    else {
        let missing = Problem::Contradiction(format!("no mount for the control group {group}"));
        return Err(problem(Path::new(MOUNTS_PATH), missing));
    };
    for directory in mount.directories_of(group) {
        for name in version.file_names() {
            let path = directory.join(name);
            match root.read(&path) {
                Ok(text) => return parse(&path, &text).map(Some),
                // Where the controller is not switched on the file is missing, and the parent's set is in force.
                Err(ReadError::Missing) => {}
                Err(error) => return Err(problem(&path, error)),
            }
        }
    }
    Ok(None)
}

/// The directories of this process's control group and of those above it that carry a controller's files, its own
/// first; none when they cannot be told.
pub(crate) fn directories(root: &SysRoot, controller: &str) -> Vec<String> {
    let Ok(groups) = root.read(GROUPS_PATH) else { return Vec::new() };
    let Ok(Some((version, group))) = group_of(&groups, controller) else { return Vec::new() };
    let Ok(mounts) = root.read(MOUNTS_PATH) else { return Vec::new() };
    let is_it = |mount: &Mount| mount.is_for(version, controller);
    let Some(mount) = mounts.lines().filter_map(Mount::parse).find(is_it) else {
        return Vec::new();
    };
    let directories = mount.directories_of(group).into_iter().take(LEVEL_LIMIT);
    directories.map(|path| path.display().to_string().trim_end_matches('/').to_owned()).collect()
}

/// Groups nested more deeply are not looked at.
const LEVEL_LIMIT: usize = 32;

const GROUPS_PATH: &str = "/proc/self/cgroup";
const CPUSET: &str = "cpuset";
const MOUNTS_PATH: &str = "/proc/self/mountinfo";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    V1,
    V2,
}

impl Version {
    fn file_names(self) -> &'static [&'static str] {
        match self {
            Version::V1 => &["cpuset.effective_cpus", "cpuset.cpus"],
            Version::V2 => &["cpuset.cpus.effective"],
        }
    }
}

/// The group that may carry the controller's files, from lines `id:controllers:group`. A machine may have both
/// versions; then a controller is managed by version 1 exactly when it has a line for it.
fn group_of<'a>(groups: &'a str, controller: &str) -> Result<Option<(Version, &'a str)>, Problem> {
    let mut unified = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(id), Some(controllers), Some(group)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Err(Problem::Contradiction("a line has no three fields".to_owned()));
        };
        if controllers.split(',').any(|name| name == controller) {
            return Ok(Some((Version::V1, group)));
        }
        if id == "0" && controllers.is_empty() {
            unified = Some((Version::V2, group));
        }
    }
    Ok(unified)
}

/// A mounted file system: which part of it is seen, and where.
pub(crate) struct Mount {
    root: String,
    pub(crate) directory: String,
    pub(crate) kind: String,
    options: String,
}

impl Mount {
    /// Reads a line `id parent device root directory options [optional fields] - kind source options`.
    pub(crate) fn parse(line: &str) -> Option<Mount> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let mut kind = kind.split(' ');
        Some(Mount {
            root: unescape(place.next()?),
            directory: unescape(place.next()?),
            kind: kind.next()?.to_owned(),
            options: kind.nth(1)?.to_owned(),
        })
    }

    fn is_for(&self, version: Version, controller: &str) -> bool {
        match version {
            Version::V1 => {
                self.kind == "cgroup" && self.options.split(',').any(|option| option == controller)
            }
            Version::V2 => self.kind == "cgroup2",
        }
    }

    /// The group's directory and those above it, up to the mount. A group that lies outside of what is mounted, as in a
    /// container that sees the host's name for it, is the mount itself.
    fn directories_of(&self, group: &str) -> Vec<PathBuf> {
        let below = Path::new(group).strip_prefix(&self.root).unwrap_or(Path::new(""));
        let inside = below.components().all(|part| matches!(part, Component::Normal(_)));
        let below = if inside { below } else { Path::new("") };
        below.ancestors().map(|ancestor| Path::new(&self.directory).join(ancestor)).collect()
    }
}

/// Replaces the kernel's octal escapes for space, tab, newline and backslash.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |field, (escape, character)| field.replace(escape, character))
}

fn read(root: &SysRoot, path: &str) -> Result<String, CpusetProblem> {
    root.read(path).map_err(|error| problem(Path::new(path), error))
}

fn parse(path: &Path, text: &str) -> Result<CpuSet, CpusetProblem> {
    let cpus: CpuSet = text.parse().map_err(|error: CpuListError| problem(path, error))?;
    if cpus.is_empty() {
        let empty = "a cpuset with a process in it holds no CPU".to_owned();
        return Err(problem(path, Problem::Contradiction(empty)));
    }
    Ok(cpus)
}

fn problem(path: &Path, problem: impl Into<Problem>) -> CpusetProblem {
    CpusetProblem { path: path.display().to_string(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_manages_cpusets_when_it_has_a_line_for_them() {
        let hybrid = "3:cpuset:/docker/a\n1:name=systemd:/\n0::/system.slice\n";
        assert_eq!(group_of(hybrid, CPUSET), Ok(Some((Version::V1, "/docker/a"))));
        let grouped = "4:cpu,cpuset,memory:/a:b\n";
        assert_eq!(group_of(grouped, CPUSET), Ok(Some((Version::V1, "/a:b"))));
        let unified = "1:name=systemd:/\n0::/user.slice\n";
        assert_eq!(group_of(unified, CPUSET), Ok(Some((Version::V2, "/user.slice"))));
        assert_eq!(group_of("", CPUSET), Ok(None));
        assert!(group_of("3:cpuset", CPUSET).is_err());
    }

    #[test]
    fn a_mount_is_read_with_its_escapes_and_optional_fields() {
        let line =
            r"34 31 0:31 /a /mnt/with\040space rw shared:1 master:2 - cgroup cgroup rw,cpuset";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.root.as_str(), mount.directory.as_str()), ("/a", "/mnt/with space"));
        assert!(mount.is_for(Version::V1, CPUSET) && !mount.is_for(Version::V2, CPUSET));
        assert!(Mount::parse("34 31 - cgroup").is_none());
        assert!(Mount::parse("").is_none());
    }

    #[test]
    fn the_groups_above_are_asked_up_to_the_mount_and_no_further() {
        let directories = |root: &str, group| {
            let line = format!("1 1 0:1 {root} /sys/fs/cgroup rw - cgroup2 cgroup2 rw");
            let mount = Mount::parse(&line).unwrap();
            let directories = mount.directories_of(group);
            directories.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        let nested = ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup/"];
        assert_eq!(directories("/", "/a/b"), nested);
        assert_eq!(directories("/docker/x", "/docker/x"), ["/sys/fs/cgroup/"]);
        assert_eq!(directories("/docker/x", "/elsewhere"), ["/sys/fs/cgroup/"]);
        assert_eq!(directories("/", "/../../outside"), ["/sys/fs/cgroup/"]);
    }
}
