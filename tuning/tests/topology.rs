//! The topology of recorded machines, of damaged ones, and of the machine on which the tests run.

use mainspring_tuning::{CpuSet, Kept, NOTE_LIMIT, SysRoot, Topology, TopologyError};
use std::fs;
use std::path::{Path, PathBuf};

const MACHINES: [&str; 3] = ["firecracker-2vcpu", "two-socket-smt", "container-cpuset"];

fn machine(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines").join(name)
}

fn topology(name: &str) -> Topology {
    Topology::read(&SysRoot::recorded(machine(name))).unwrap()
}

fn cpus(list: &str) -> CpuSet {
    list.parse().unwrap()
}

fn groups(groups: std::collections::BTreeMap<u32, CpuSet>) -> Vec<(u32, String)> {
    groups.into_iter().map(|(name, cpus)| (name, cpus.to_string())).collect()
}

/// A copy of a recorded machine that a test may damage; removed when dropped.
struct Damaged {
    directory: PathBuf,
}

impl Damaged {
    fn copy(name: &str, test: &str) -> Damaged {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{name}"));
        let _ = fs::remove_dir_all(&directory);
        for file in files(&machine(name)) {
            let target = directory.join(file.strip_prefix(machine(name)).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(&file, &target).unwrap();
        }
        Damaged { directory }
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.directory.join(path), text).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.directory.join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }

    /// The other files of a machine say nothing about its CPUs.
    fn files_of_the_topology(&self) -> Vec<PathBuf> {
        let root = SysRoot::recorded(&self.directory).keeping();
        Topology::read(&root).unwrap();
        let kept = root.kept().into_iter().filter(|(_, kept)| matches!(kept, Kept::File(_)));
        kept.map(|(path, _)| self.directory.join(path.strip_prefix("/").unwrap())).collect()
    }

    fn read(&self) -> Result<Topology, TopologyError> {
        Topology::read(&SysRoot::recorded(&self.directory))
    }
}

impl Drop for Damaged {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn a_small_virtual_machine_is_one_node_with_a_core_for_each_cpu() {
    let topology = topology("firecracker-2vcpu");
    assert_eq!(topology.notes(), []);
    assert_eq!(groups(topology.packages()), [(0, "0-1".into())]);
    assert_eq!(groups(topology.nodes()), [(0, "0-1".into())]);
    assert_eq!(groups(topology.caches()), [(0, "0-1".into())]);
    assert_eq!(groups(topology.cores()), [(0, "0".into()), (1, "1".into())]);
    assert_eq!(topology.cpuset(), Some(&cpus("0-1")), "managed by control groups version 1");
    assert_eq!(topology.suggest(2).cpus(), [0, 1], "with two CPUs none is spared");
    assert_eq!(topology.suggested_cores(), 2);
}

#[test]
fn two_sockets_with_smt_are_two_nodes_of_four_cores_of_two_threads() {
    let topology = topology("two-socket-smt");
    assert_eq!(topology.notes(), []);
    assert_eq!(groups(topology.nodes()), [(0, "0-3,8-11".into()), (1, "4-7,12-15".into())]);
    assert_eq!(groups(topology.packages()), groups(topology.nodes()));
    let caches = ["0-1,8-9", "2-3,10-11", "4-5,12-13", "6-7,14-15"];
    assert_eq!(
        groups(topology.caches()).into_iter().map(|(_, cpus)| cpus).collect::<Vec<_>>(),
        caches
    );
    assert_eq!(groups(topology.cores())[7], (7, "7,15".into()));
    assert_eq!(topology.cpuset(), None, "no group on the way to the mount has the controller");
    assert_eq!(topology.allowed_cpus(), &cpus("0-15"));
}

#[test]
fn a_placement_fills_physical_cores_node_by_node_then_their_siblings_and_spares_cpu_0() {
    let topology = topology("two-socket-smt");
    let all = topology.suggest(16);
    assert_eq!(all.cpus(), [1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 8]);
    assert_eq!((all.nodes(), all.shared_cores(), all.missing()), (2, 8, 0));
    let one_node = topology.suggest(3);
    assert_eq!(one_node.cpus(), [1, 2, 3]);
    assert_eq!((one_node.nodes(), one_node.shared_cores()), (1, 0));
    assert_eq!(topology.suggested_cores(), 7);
}

#[test]
fn a_longer_placement_begins_with_the_shorter_one_and_never_repeats_a_cpu() {
    for name in MACHINES {
        let topology = topology(name);
        let all = topology.suggest(usize::MAX);
        assert_eq!(
            all.cpus().iter().copied().collect::<CpuSet>(),
            *topology.allowed_cpus(),
            "{name}"
        );
        assert_eq!(all.cpus().len(), topology.allowed_cpus().len(), "{name}");
        for cores in 0..all.cpus().len() {
            assert_eq!(topology.suggest(cores).cpus(), &all.cpus()[..cores], "{name}");
        }
    }
}

#[test]
fn the_node_with_most_allowed_cpus_is_filled_first() {
    let machine = Damaged::copy("two-socket-smt", "most-allowed");
    machine.write("proc/self/status", "Cpus_allowed_list:\t2,5-7,13\n");
    let topology = machine.read().unwrap();
    assert_eq!(topology.suggest(4).cpus(), [5, 6, 7, 2]);
    assert_eq!(topology.suggest(5).cpus(), [5, 6, 7, 2, 13]);
}

#[test]
fn in_a_container_only_what_both_mask_and_cpuset_allow_is_used() {
    let topology = topology("container-cpuset");
    assert_eq!(topology.affinity(), &cpus("1-3,6"));
    assert_eq!(topology.cpuset(), Some(&cpus("2-3,6-7")));
    assert_eq!(topology.allowed_cpus(), &cpus("2-3,6"));
    assert_eq!(topology.online(), cpus("0-7"));
    let placement = topology.suggest(4);
    assert_eq!(placement.cpus(), [2, 3, 6], "6 is the second thread of 2's core");
    assert_eq!((placement.missing(), placement.shared_cores()), (1, 1));
    assert_eq!(topology.suggested_cores(), 2);
}

#[test]
fn no_allowed_cpu_is_an_error_that_shows_all_three_sets() {
    let machine = Damaged::copy("container-cpuset", "nothing-allowed");
    machine.write("proc/self/status", "Cpus_allowed_list:\t0-1\n");
    let error = machine.read().unwrap_err();
    assert!(
        matches!(&error, TopologyError::NothingAllowed { affinity, .. } if *affinity == cpus("0-1"))
    );
    let text = error.to_string();
    assert!(text.contains("online are 0-7") && text.contains("cpuset 2-3,6-7"), "{text}");
}

#[test]
fn a_machine_that_says_nothing_about_its_cpus_is_an_error_with_the_remedy() {
    let machine = Damaged::copy("firecracker-2vcpu", "nothing");
    machine.remove("sys");
    machine.remove("proc");
    let text = machine.read().unwrap_err().to_string();
    assert!(text.contains("/sys/devices/system/cpu/online is missing"), "{text}");
    assert!(text.contains("mount /sys and /proc"), "{text}");
}

#[test]
fn without_numa_and_cache_entries_the_rest_is_still_known_and_the_gap_is_named() {
    let machine = Damaged::copy("container-cpuset", "gaps");
    machine.remove("sys/devices/system/node");
    machine.write("sys/devices/system/cpu/cpu3/topology/core_cpus_list", "3,x\n");
    machine.remove("sys/devices/system/cpu/cpu5/cache");
    let topology = machine.read().unwrap();
    assert_eq!(groups(topology.nodes()), [(0, "0-7".into())]);
    assert_eq!(topology.cpu(3).unwrap().core, 3);
    assert_eq!(topology.cpu(5).unwrap().cache, 0);
    let notes: Vec<String> = topology.notes().iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "node.online: /sys/devices/system/node/online is missing; all CPUs are taken for one NUMA node",
            "cpu.siblings: /sys/devices/system/cpu/cpu3/topology/core_cpus_list is malformed: \
             at byte 2 of the CPU list: expected a number, found 'x'; the CPU is taken for a physical core of its own",
            "cpu.cache: /sys/devices/system/cpu/cpu5/cache is missing; \
             the package is taken to share one last-level cache",
        ]
    );
}

#[test]
fn the_name_of_the_siblings_file_on_older_kernels_is_known() {
    let machine = Damaged::copy("two-socket-smt", "older-kernel");
    machine.remove("sys/devices/system/cpu/cpu12/topology/core_cpus_list");
    machine.write("sys/devices/system/cpu/cpu12/topology/thread_siblings_list", "4,12\n");
    let older = machine.read().unwrap();
    assert_eq!(older, topology("two-socket-smt"));
}

#[test]
fn a_cpu_that_is_not_in_its_own_list_is_a_core_of_its_own() {
    let machine = Damaged::copy("two-socket-smt", "not-in-its-list");
    machine.write("sys/devices/system/cpu/cpu9/topology/core_cpus_list", "2,10\n");
    let topology = machine.read().unwrap();
    assert_eq!(topology.cpu(9).unwrap().core, 9);
    let note = topology.notes()[0].to_string();
    assert!(note.contains("contradicts itself: CPU 9 is not in its own list `2,10`"), "{note}");
}

#[test]
fn a_machine_of_one_physical_core_carries_one_thread_even_if_it_is_cpu_0s() {
    let machine = Damaged::copy("firecracker-2vcpu", "one-core");
    machine.write("sys/devices/system/cpu/online", "0-3\n");
    machine.write("proc/self/status", "Cpus_allowed_list:\t0-3\n");
    machine.write("sys/fs/cgroup/cpuset/cpuset.effective_cpus", "0-3\n");
    for cpu in 0..4 {
        let topology = format!("sys/devices/system/cpu/cpu{cpu}/topology");
        fs::create_dir_all(machine.directory.join(&topology)).unwrap();
        machine.write(&format!("{topology}/core_cpus_list"), "0-3\n");
    }
    assert_eq!(machine.read().unwrap().suggested_cores(), 1);
}

#[test]
fn notes_are_bounded_and_the_rest_is_counted() {
    let machine = Damaged::copy("two-socket-smt", "many-notes");
    for cpu in 0..16 {
        machine.remove(&format!("sys/devices/system/cpu/cpu{cpu}"));
    }
    let topology = machine.read().unwrap();
    assert_eq!(topology.notes().len(), NOTE_LIMIT);
    assert_eq!(topology.notes_dropped(), 3 * 16 - NOTE_LIMIT);
    assert_eq!(topology.suggest(16).missing(), 0);
}

/// What may stand in a file instead of its text; `None` is no file at all.
type Damage = Option<&'static [u8]>;

/// Damages one file after the other and hands over what is read then.
fn with_each_file(damages: &[Damage], mut check: impl FnMut(&str, Topology, &Topology)) {
    for name in MACHINES {
        let machine = Damaged::copy(name, &format!("damage-{}", damages.len()));
        let intact = topology(name);
        for file in machine.files_of_the_topology() {
            let bytes = fs::read(&file).unwrap();
            for damage in damages {
                match damage {
                    None => fs::remove_file(&file).unwrap(),
                    Some(bytes) => fs::write(&file, bytes).unwrap(),
                }
                // An error is typed by the signature; nothing is left to check then.
                if let Ok(topology) = machine.read() {
                    check(&format!("{} with {damage:?}", file.display()), topology, &intact);
                }
            }
            fs::write(&file, bytes).unwrap();
        }
    }
}

#[test]
fn a_malformed_file_changes_nothing_or_leaves_a_note() {
    let damages: [Damage; 3] =
        [Some(b"garbage\n"), Some(b"99999999999999999999\n"), Some(b"\xff\xfe0-1\n")];
    with_each_file(&damages, |damage, topology, intact| {
        assert!(topology == *intact || !topology.notes().is_empty(), "{damage}");
    });
}

#[test]
fn with_any_one_file_missing_empty_or_wrong_every_allowed_cpu_still_has_its_place() {
    // Some of these make a machine that could exist, so that there is nothing to note.
    let damages: [Damage; 4] = [None, Some(b""), Some(b"4095\n"), Some(b"0\n")];
    with_each_file(&damages, |damage, topology, _| {
        let placed: CpuSet = topology.suggest(usize::MAX).cpus().iter().copied().collect();
        assert_eq!(placed, *topology.allowed_cpus(), "{damage}");
        assert!(!placed.is_empty(), "{damage}");
    });
}

#[test]
fn this_machine_is_read_and_every_allowed_cpu_is_one_of_its_cpus() {
    let topology = Topology::read(&SysRoot::real()).unwrap();
    assert!(!topology.allowed_cpus().is_empty());
    for number in topology.allowed_cpus().iter() {
        assert!(topology.cpu(number).is_some(), "CPU {number}");
    }
}
