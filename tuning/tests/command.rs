//! What the command prints for programs, and that a recorded machine is the machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mainspring_tuning::check;
use serde_json::Value;

fn run(arguments: &[&str]) -> (u8, String, String) {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("mainspring-tune").chain(arguments.iter().copied());
    let code = mainspring_tuning::command::run(arguments.map(Into::into), &mut out, &mut errors);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code, text(out), text(errors))
}

fn machine(name: &str) -> String {
    let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines");
    machines.join(name).display().to_string()
}

fn json(arguments: &[&str]) -> Value {
    let (_, out, errors) = run(arguments);
    assert_eq!(errors, "", "{arguments:?}");
    serde_json::from_str(&out).expect("an object")
}

#[test]
fn the_exit_code_says_whether_anybody_has_to_look() {
    for (name, profile, code) in [
        ("arm64-tuned", "isolated-spin", 0),
        ("arm64-tuned", "laptop", 0),
        ("two-socket-smt", "latency", 1),
        ("container-cpuset", "laptop", 1),
    ] {
        let (found, out, errors) = run(&["audit", "--profile", profile, "--root", &machine(name)]);
        assert_eq!((found, errors.as_str()), (code, ""), "{name} {profile}: {out}");
    }
}

#[test]
fn an_audit_as_json_has_every_row_of_the_text_with_what_would_mend_it() {
    let root = machine("two-socket-smt");
    let audit = json(&["audit", "--profile", "isolated-spin", "--root", &root, "--json"]);
    let (_, text, _) = run(&["audit", "--profile", "isolated-spin", "--root", &root]);
    let findings = audit["findings"].as_array().expect("a list");
    for finding in findings {
        let id = finding["id"].as_str().expect("a text");
        let verdict = finding["verdict"].as_str().expect("a text");
        let row = text.lines().find(|line| line.split_whitespace().next() == Some(id));
        assert!(row.is_some_and(|row| row.contains(verdict)), "{id} {verdict}:\n{text}");
        assert!(finding["wanted"].is_string() && finding["evidence"].is_array(), "{finding}");
    }
    let kinds: BTreeSet<_> = findings
        .iter()
        .flat_map(|finding| finding["changes"].as_array().expect("a list"))
        .map(|change| change["kind"].as_str().expect("a text"))
        .collect();
    assert_eq!(Vec::from_iter(kinds), ["boot", "ethtool", "limit", "variable", "write"]);
    assert_eq!(audit["machine"]["guest_of"], Value::Null);
}

#[test]
fn a_topology_as_json_names_every_interrupt_and_where_it_goes() {
    let topology = json(&["topology", "--json", "--root", &machine("firecracker-2vcpu")]);
    assert_eq!(topology["cpus"].as_array().map(Vec::len), Some(2));
    let devices = topology["devices"].as_array().expect("a list");
    let named: Vec<_> = devices.iter().map(|device| device["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["eth0", "vda"]);
    let interrupts = devices[0]["interrupts"].as_array().expect("a list");
    let named: Vec<_> = interrupts.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["virtio2-config", "virtio2-input.0", "virtio2-output.0"]);
    assert!(interrupts.iter().all(|one| one["allowed"].is_string()), "{interrupts:?}");
}

#[test]
fn every_check_can_be_explained_as_text_and_as_json() {
    let (code, list, _) = run(&["explain"]);
    assert_eq!((code, list.lines().count()), (0, check::all().len()));
    for check in check::all() {
        let (code, text, errors) = run(&["explain", check.id]);
        assert_eq!((code, errors.as_str()), (0, ""), "{}", check.id);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        let object = json(&["explain", check.id, "--json"]);
        for key in ["what", "cost", "disagreement", "source", "measure"] {
            let told = object[key].as_str().expect("a text");
            let told: Vec<_> = told.split_whitespace().collect();
            let words: Vec<_> = text.split_whitespace().collect();
            assert!(words.windows(told.len()).any(|part| part == told), "{} {key}", check.id);
        }
    }
}

#[test]
fn a_recorded_machine_is_audited_as_the_machine_itself() {
    for name in ["firecracker-2vcpu", "two-socket-smt", "arm64-tuned"] {
        let folder = Scratch::new(name);
        let root = machine(name);
        let (code, out, errors) = run(&["record", folder.path(), "--root", &root]);
        assert_eq!((code, errors.as_str()), (0, ""), "{out}");
        for command in [&["topology"][..], &["audit", "--profile", "isolated-spin"]] {
            let there = [command, &["--root", &root]].concat();
            let here = [command, &["--root", folder.path()]].concat();
            assert_eq!(run(&there).1, run(&here).1, "{name}");
        }
        let (code, _, errors) = run(&["record", folder.path()]);
        assert_eq!(code, 2);
        assert!(errors.contains("name a new folder"), "{errors}");
    }
}

#[test]
fn the_data_folder_chooses_the_file_system_and_the_shards_the_roles() {
    let profile = Scratch::new("roles").0.with_extension("toml");
    fs::write(&profile, "[cpus]\nshards = \"2-3\"\n[fs]\ndirect_io = \"xfs\"\n").expect("a file");
    let root = machine("one-socket-chiplets");
    let profile = profile.to_str().expect("text");
    let audit = json(&[
        "audit",
        "--profile",
        profile,
        "--root",
        &root,
        "--data",
        "/sys/fs/cgroup/x",
        "--json",
    ]);
    assert_eq!(
        (audit["shards"].as_str(), audit["housekeeping"].as_str()),
        (Some("2-3"), Some("0-1,4-9,12-15"))
    );
    assert_eq!(audit["findings"][0]["found"], "cgroup2 on /sys/fs/cgroup");
    assert_eq!(audit["findings"][0]["verdict"], "differs");
}

/// A folder that is not there yet, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("command-{name}"));
        let _ = fs::remove_dir_all(&folder);
        Scratch(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("text")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
