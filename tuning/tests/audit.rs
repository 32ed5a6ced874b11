//! The audit of recorded machines, and of the machine on which the tests run.

use std::path::{Path, PathBuf};

/// What a command line did.
struct Ran {
    code: u8,
    out: String,
    errors: String,
}

fn run(arguments: &[&str]) -> Ran {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("mainspring-tune").chain(arguments.iter().copied());
    let code = mainspring_tuning::command::run(arguments.map(Into::into), &mut out, &mut errors);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code, out: text(out), errors: text(errors) }
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn machine(name: &str) -> String {
    tests().join("machines").join(name).display().to_string()
}

const MACHINES: [&str; 5] = [
    "firecracker-2vcpu",
    "two-socket-smt",
    "one-socket-chiplets",
    "arm64-tuned",
    "container-cpuset",
];
const PROFILES: [&str; 4] = ["laptop", "shared-vm", "latency", "isolated-spin"];

/// With this variable set the committed texts are written anew: look at the difference before committing it.
const REWRITE: &str = "MAINSPRING_REWRITE_AUDITS";

#[test]
fn the_audit_of_every_recorded_machine_is_the_committed_one() {
    for name in MACHINES {
        for profile in PROFILES {
            let ran = run(&["audit", "--profile", profile, "--root", &machine(name)]);
            assert_eq!(ran.errors, "", "{name} {profile}");
            let path = tests().join("audits").join(name).join(format!("{profile}.txt"));
            if std::env::var_os(REWRITE).is_some() {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &ran.out).unwrap();
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(ran.out, committed, "{name} {profile}: {REWRITE}=1 writes it anew");
        }
    }
}

#[test]
fn the_topology_of_every_recorded_machine_is_the_committed_one() {
    for name in MACHINES {
        let ran = run(&["topology", "--root", &machine(name)]);
        assert_eq!((ran.code, ran.errors.as_str()), (0, ""), "{name}");
        let path = tests().join("audits").join(name).join("topology.txt");
        if std::env::var_os(REWRITE).is_some() {
            std::fs::write(&path, &ran.out).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(ran.out, committed, "{name}: {REWRITE}=1 writes it anew");
    }
}

#[test]
fn this_machine_is_audited_without_an_error() {
    for profile in PROFILES {
        let ran = run(&["audit", "--profile", profile]);
        assert_eq!(ran.errors, "", "{profile}");
        assert!(ran.code <= 1, "{profile}: {}", ran.out);
    }
}

#[test]
fn what_cannot_be_answered_is_one_clear_line_and_code_2() {
    for (arguments, says) in [
        (&["audit", "--profile", "quiet"][..], "built in are laptop, shared-vm, latency"),
        (&["audit", "--profile", "no/such.toml"], "no/such.toml cannot be read"),
        (&["audit", "--root", "no/such/machine"], "cannot tell which CPUs there are"),
        (&["explain", "cpu.govenor"], "did you mean cpu.governor?"),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
    ] {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.errors.contains(says), "{arguments:?}: {}", ran.errors);
        assert_eq!(ran.errors.lines().count(), 1, "{}", ran.errors);
    }
}
