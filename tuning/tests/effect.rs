//! A setting of a recorded machine, measured by a program that knows it: found, or not, and restored.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the program as a process of its own: a process that starts another one holds the locks of all its threads
/// until that one is there.
fn run(arguments: &[&str]) -> (u8, String, String) {
    let program = env!("CARGO_BIN_EXE_mainspring-tune");
    let output = Command::new(program).args(arguments).output().expect("it runs");
    let code = output.status.code().and_then(|code| u8::try_from(code).ok());
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code.expect("an exit code"), text(output.stdout), text(output.stderr))
}

/// A copy of a recorded machine, in which timers migrate.
struct Machine(PathBuf);

impl Machine {
    fn copy(name: &str) -> Machine {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("effect-{name}"));
        let _ = fs::remove_dir_all(&folder);
        let recorded = tests().join("machines/firecracker-2vcpu");
        let (recorded, path) = (recorded.to_str().expect("text"), folder.to_str().expect("text"));
        assert_eq!(run(&["record", path, "--root", recorded]).0, 0);
        Machine(folder)
    }

    fn effect(&self, id: &str, scenario: &str, more: &[&str]) -> (u8, String, String) {
        let program = tests().join("effect/planted.sh");
        let (root, program) = (self.0.to_str().expect("text"), program.to_str().expect("text"));
        let mut arguments = vec!["effect", id, "--root", root];
        arguments.extend(["--scenario", scenario, "--perf", program]);
        arguments.extend(more);
        run(&arguments)
    }

    /// Every file but those of the state folder.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.ends_with("var") {
                    continue;
                } else if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.clone(), fs::read(path).expect("a file"));
                }
            }
        }
        files
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

const ID: &str = "kernel.timer_migration";

#[test]
fn a_slowdown_of_ten_percent_is_found_and_the_machine_is_as_it_was() {
    let machine = Machine::copy("planted");
    let before = machine.files();
    let (code, out, errors) = machine.effect(ID, "planted", &[]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(out.contains("slower with it: it takes 1.") && out.contains("is restored"), "{out}");
    let (_, out, _) = machine.effect(ID, "planted", &["--json"]);
    let effect: serde_json::Value = serde_json::from_str(&out).expect("an object");
    let ratio = effect["ratio"]["median"].as_f64().expect("a number");
    assert!((ratio - 1.1).abs() < 0.03, "{effect}");
    assert_eq!(machine.files(), before);
}

#[test]
fn a_setting_without_effect_is_told_with_the_noise_floor() {
    let machine = Machine::copy("no-op");
    let (code, out, errors) = machine.effect(ID, "no-op", &[]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(out.contains("no effect seen at this machine's noise floor of "), "{out}");
}

#[test]
fn a_program_that_fails_with_the_setting_leaves_the_machine_as_it_was() {
    let machine = Machine::copy("broken");
    let before = machine.files();
    let (code, out, errors) = machine.effect(ID, "broken", &[]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(errors.contains("printed no ns_per_message (exit status: 3)"), "{errors}");
    assert_eq!(machine.files(), before);
    let (_, _, errors) = run(&["undo", "--root", machine.0.to_str().expect("text")]);
    assert!(errors.contains("there is no save"), "{errors}");
}

#[test]
fn what_cannot_be_measured_is_refused_in_one_line() {
    let machine = Machine::copy("refused");
    for (id, more, told) in [
        ("kernel.timer_migrations", &[][..], "did you mean kernel.timer_migration?"),
        ("kernel.nmi_watchdog", &[], "there is nothing to change"),
        ("blk.poll_queues", &["--profile", "isolated-spin"], "takes effect at the next boot"),
        (ID, &["--blocks", "4"], "4 is not in 5..=500"),
        (ID, &["--profile", "laptop"], "is for audits only"),
    ] {
        let (code, out, errors) = machine.effect(id, "planted", more);
        assert_eq!((code, out.as_str()), (2, ""), "{id}");
        assert!(errors.contains(told) && errors.lines().count() == 1, "{id}: {errors}");
    }
    let root = machine.0.to_str().expect("text");
    assert_eq!(run(&["apply", "--yes", "--only", ID, "--root", root]).0, 0);
    let (code, _, errors) = machine.effect("kernel.timer_migration", "planted", &[]);
    assert!(code == 2 && !errors.is_empty(), "{errors}");
    assert_eq!(run(&["undo", "--root", root]).0, 0);
    let missing = ["effect", ID, "--root", root, "--scenario", "x", "--perf", "/nowhere/perf"];
    let (code, _, errors) = run(&missing);
    assert_eq!(code, 2);
    assert!(errors.contains("/nowhere/perf cannot be started"), "{errors}");
}
