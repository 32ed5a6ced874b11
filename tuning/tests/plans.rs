//! Plans of recorded machines, as they are printed; and the script run where a recorded machine stands in for this one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mainspring_tuning::apply::{State, apply};
use mainspring_tuning::plan::LIMITS_FILE;
use mainspring_tuning::render::{Form, render};
use mainspring_tuning::{Audit, Facts, Plan, Profile, Step, Surroundings, SysRoot, checks_of};

const MACHINES: [&str; 5] = [
    "firecracker-2vcpu",
    "two-socket-smt",
    "one-socket-chiplets",
    "arm64-tuned",
    "container-cpuset",
];
const PROFILES: [&str; 2] = ["latency", "isolated-spin"];
const FORMS: [(Form, &str); 5] = [
    (Form::Shell, "sh"),
    (Form::Sysctl, "sysctl.conf"),
    (Form::Systemd, "service"),
    (Form::Tuned, "tuned.conf"),
    (Form::Cmdline, "cmdline"),
];

/// With this variable set the committed texts are written anew: look at the difference before committing it.
const REWRITE: &str = "MAINSPRING_REWRITE_PLANS";

#[test]
fn the_plan_of_every_recorded_machine_is_the_committed_one_in_every_form() {
    for machine in MACHINES {
        for profile in PROFILES {
            for (form, suffix) in FORMS {
                let text = render(&plan(&recorded(machine), profile), form, "a recorded machine");
                let name = format!("{profile}.{suffix}");
                let path = tests().join("plans").join(machine).join(&name);
                if std::env::var_os(REWRITE).is_some() {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(&path, &text).unwrap();
                }
                let committed = fs::read_to_string(&path).unwrap_or_default();
                assert_eq!(text, committed, "{machine} {name}: {REWRITE}=1 writes it anew");
            }
        }
    }
}

#[test]
fn what_takes_a_boot_is_in_no_script_but_as_a_comment() {
    let plan = plan(&recorded("two-socket-smt"), "isolated-spin");
    assert!(plan.boot.iter().any(|item| item.parameter == "nohz_full"));
    for form in [Form::Shell, Form::Sysctl, Form::Systemd] {
        let text = render(&plan, form, "a recorded machine");
        let lines: Vec<_> = text.lines().filter(|line| line.contains("nohz_full")).collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| line.starts_with('#')), "{lines:?}");
    }
    for machine in MACHINES {
        for profile in PROFILES {
            for form in FORMS {
                let text = render(&self::plan(&recorded(machine), profile), form.0, "");
                assert!(!text.contains("idle=poll") && !text.contains("mitigations=off"));
            }
        }
    }
}

/// In a mount and PID namespace of its own, where the machine's `/sys`, `/proc` and `/etc` are a recorded machine's,
/// the script leads to the tree to which `apply` leads; and its way back tells each file what it was told before.
#[test]
fn the_script_leads_to_the_tree_to_which_apply_leads() {
    if let Err(why) = namespaces() {
        println!("skipped: no mount namespace: {why}");
        return;
    }
    for (machine, profile) in [
        ("two-socket-smt", "isolated-spin"),
        ("two-socket-smt", "latency"),
        ("one-socket-chiplets", "latency"),
        ("firecracker-2vcpu", "latency"),
    ] {
        let applied = copy_of(machine, "applied");
        let scripted = copy_of(machine, "scripted");
        let root = SysRoot::recorded(&applied);
        let plan = plan(&root, profile);
        let surroundings = Surroundings { capabilities: u64::MAX, ..surroundings(&root) };
        let saved = applied.with_extension("state");
        let done = apply(&root, &State::at(&root, &saved), &surroundings, profile, &plan);
        let done = done.expect("it applies");
        assert!(done.iter().all(|done| !done.outcome.needs_attention()), "{done:?}");

        let script = render(&plan, Form::Shell, "a recorded machine");
        run_inside(&scripted, &script, "apply");
        assert_eq!(differing(&tree(&scripted), &tree(&applied)), Vec::<PathBuf>::new());

        // A unit has its commands in another quoting, and leaves the limits to the unit of the shards.
        let started = copy_of(machine, "started");
        let unit = render(&plan, Form::Systemd, "a recorded machine");
        run_inside(&started, &commands_of(&unit, "ExecStart=-"), "start");
        let mut expected = tree(&applied);
        expected.remove(Path::new(LIMITS_FILE.trim_start_matches('/')));
        assert_eq!(differing(&tree(&started), &expected), Vec::<PathBuf>::new(), "{machine}");

        // An ordinary directory with files in it does not go as a control group does.
        if plan.actions.iter().any(|action| matches!(action.step, Step::Controller { .. })) {
            continue;
        }
        run_inside(&scripted, &script, "undo");
        let mut expected = tree(&copy_of(machine, "untouched"));
        for action in &plan.actions {
            if let Step::Write { path, restore: Some(restore), .. } = &action.step {
                let text = format!("{restore}\n").into_bytes();
                expected.insert(path.trim_start_matches('/').into(), text);
            }
        }
        assert_eq!(differing(&tree(&scripted), &expected), Vec::<PathBuf>::new(), "{machine}");
    }
}

#[test]
fn the_script_refuses_a_word_that_it_does_not_know() {
    let script = render(&plan(&recorded("arm64-tuned"), "latency"), Form::Shell, "a machine");
    let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("apply|undo"));
}

#[test]
fn the_settings_of_sysctl_are_the_steps_below_proc_sys() {
    let plan = plan(&recorded("two-socket-smt"), "latency");
    let text = render(&plan, Form::Sysctl, "a recorded machine");
    let settings = text.lines().filter_map(|line| line.split_once(" = "));
    let settings: Vec<_> = settings
        .map(|(key, value)| (format!("/proc/sys/{}", key.replace('.', "/")), value.to_owned()))
        .collect();
    let steps = plan.actions.iter().filter_map(|action| match &action.step {
        Step::Write { path, value, .. } if path.starts_with("/proc/sys/") => {
            Some((path.clone(), value.clone()))
        }
        _ => None,
    });
    assert_eq!(settings, steps.collect::<Vec<_>>());
}

/// What systemd makes of the commands of a unit, as a script.
fn commands_of(unit: &str, directive: &str) -> String {
    let lines = unit.lines().filter_map(|line| line.strip_prefix(directive));
    let command = |line: &str| {
        let line = line.strip_prefix("/bin/sh -c \"").and_then(|line| line.strip_suffix('"'));
        let line = line.expect("a command of sh").replace("$$", "$").replace("%%", "%");
        line.replace("\\\"", "\"").replace(r"\\", r"\") + "\n"
    };
    lines.map(command).collect()
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn recorded(machine: &str) -> SysRoot {
    SysRoot::recorded(tests().join("machines").join(machine))
}

fn plan(root: &SysRoot, profile: &str) -> Plan {
    let wanted = Profile::load(profile).expect("built in").wanted;
    let facts = Facts::probe(root, &checks_of(&wanted)).expect("it tells its CPUs");
    Plan::of(&Audit::of(&facts, &wanted))
}

fn surroundings(root: &SysRoot) -> Surroundings {
    Facts::probe(root, &[]).expect("it tells its CPUs").surroundings().clone()
}

/// Whether this process may make the namespaces, and mount in them.
fn namespaces() -> Result<(), String> {
    let mount = "mount --bind /tmp /mnt";
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "sh", "-c", mount])
        .output()
        .map_err(|error| format!("unshare: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// A copy of the machine with folders for all that is mounted, and a folder of programs that stand in for those that
/// would touch devices and services.
fn copy_of(machine: &str, test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("plans-{machine}")).join(test);
    let _ = fs::remove_dir_all(&folder);
    let _ = fs::remove_dir_all(folder.with_extension("state"));
    copy_folder(&tests().join("machines").join(machine), &folder);
    for name in ["etc", "ethtool"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    folder
}

/// Runs the script with the machine's folders mounted over this one's.
fn run_inside(machine: &Path, script: &str, word: &str) {
    let programs = machine.with_extension("programs");
    fs::create_dir_all(&programs).unwrap();
    let ethtool = "#!/bin/sh\n# --coalesce DEVICE PROPERTY VALUE\n\
        sed -i \"s/^$3: .*/$3: $4/\" \"$MACHINE/ethtool/$2/coalesce\"\n";
    for (name, text) in [("ethtool", ethtool), ("systemctl", "#!/bin/sh\n"), ("script", script)] {
        let path = programs.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // What is mounted over /proc hides what mount needs, so that goes last.
    let inside = "mount --bind \"$MACHINE/etc\" /etc && mount --bind \"$MACHINE/sys\" /sys && \
        mount --bind \"$MACHINE/proc\" /proc && exec sh \"$PROGRAMS/script\" \"$WORD\"";
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "sh", "-c", inside])
        .env("MACHINE", machine)
        .env("PROGRAMS", &programs)
        .env("WORD", word)
        .env("PATH", path)
        .output()
        .expect("unshare");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{word}: {said}");
}

fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut tree = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                tree.insert(name, fs::read(path).unwrap());
            }
        }
    }
    tree
}

fn differing(one: &BTreeMap<PathBuf, Vec<u8>>, other: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    let paths = one.keys().chain(other.keys().filter(|path| !one.contains_key(*path)));
    paths.filter(|path| one.get(*path) != other.get(*path)).cloned().collect()
}

fn copy_folder(source: &Path, target: &Path) {
    fs::create_dir_all(target).unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let target = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
