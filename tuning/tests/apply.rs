//! Applied and taken back: on recorded machines, with a crash between any two writes, and on the machine at hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mainspring_tuning::apply::{Done, Outcome, SaveError, State, UndoError, apply, undo, verify};
use mainspring_tuning::{Audit, Facts, Plan, Profile, Surroundings, SysRoot, checks_of, command};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Recorded machines on which there is something to do, and a profile that wants it.
const CASES: [(&str, &str); 5] = [
    ("two-socket-smt", "latency"),
    ("two-socket-smt", "isolated-spin"),
    ("one-socket-chiplets", "latency"),
    ("firecracker-2vcpu", "shared-vm"),
    ("container-cpuset", "latency"),
];

/// More writes than any of the cases needs.
const MANY_WRITES: usize = 10_000;

#[test]
fn what_was_applied_is_what_the_audit_wanted_and_the_undo_leaves_the_tree_byte_identical() {
    for (machine, profile) in CASES {
        let copy = Copy::of(machine, &format!("round-trip-{profile}"));
        let before = copy.tree();
        let plan = copy.plan(profile);
        let done = copy.apply(&copy.root(), profile, &plan).expect("it applies");
        assert!(done.iter().any(|done| done.outcome == Outcome::Made), "{machine}");
        assert_quiet(&done, &format!("{machine} {profile}"));
        assert_ne!(copy.tree(), before, "{machine}");

        // Only the limits, which a process gets at its start, are still to do.
        let left = copy.plan(profile);
        let left: Vec<_> =
            left.actions.iter().filter(|action| !action.id.contains("limit")).collect();
        let left: Vec<_> = left.iter().filter(|action| action.id != "cpu.isolation").collect();
        assert!(left.is_empty(), "{machine} {profile}: {left:?}");

        let held = verify(&copy.root(), &copy.state(&copy.root())).expect("it verifies");
        assert!(held.iter().all(|done| done.outcome == Outcome::Holds), "{held:?}");
        let done = undo(&copy.root(), &copy.state(&copy.root()), false).expect("it undoes");
        assert_quiet(&done, &format!("{machine} {profile}"));
        copy.assert_tree(&before, &format!("{machine} {profile}"));
        let again = undo(&copy.root(), &copy.state(&copy.root()), false);
        assert!(matches!(again, Err(UndoError::NothingSaved { .. })), "{again:?}");
    }
}

#[test]
fn a_crash_before_any_write_of_apply_is_undone_to_the_last_byte() {
    // Every write of a short plan; the property below draws from the long ones.
    let copy = Copy::of("firecracker-2vcpu", "every-crash");
    let before = copy.tree();
    let plan = copy.plan("shared-vm");
    for writes in 0.. {
        let root = copy.root().crashing_after(writes);
        let is_over = match copy.apply(&root, "shared-vm", &plan) {
            Ok(done) => attention(&done).is_empty(),
            Err(_) => false,
        };
        copy.assert_undone(&before, &format!("after {writes} writes"));
        if is_over {
            assert!(writes > plan.actions.len(), "{writes}");
            return;
        }
    }
}

/// A crash of the apply, then crashes of the undo, then an undo that is let end.
#[test]
fn crashes_between_any_two_writes_leave_what_an_undo_brings_back() {
    for (machine, profile) in CASES {
        let copy = Copy::of(machine, &format!("crash-{profile}"));
        let before = copy.tree();
        let plan = copy.plan(profile);
        // As many writes as steps to make, as notes of them, and as the save needs.
        let writes = 2 * plan.actions.len() + 4;
        let crashes = (0..writes, prop::collection::vec(0..writes, 0..3));
        let config = ProptestConfig { cases: 8, failure_persistence: None, ..Default::default() };
        let run = TestRunner::new(config).run(&crashes, |(of_apply, of_undo)| {
            let _ = copy.apply(&copy.root().crashing_after(of_apply), profile, &plan);
            for writes in &of_undo {
                let root = copy.root().crashing_after(*writes);
                let _ = undo(&root, &copy.state(&root), false);
            }
            copy.assert_undone(&before, &format!("{machine} {profile} {of_apply} {of_undo:?}"));
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{machine} {profile}: {error}"));
    }
}

#[test]
fn what_somebody_changed_since_is_left_alone_unless_forced() {
    let copy = Copy::of("two-socket-smt", "foreign");
    let before = copy.tree();
    copy.apply(&copy.root(), "latency", &copy.plan("latency")).expect("it applies");
    let swappiness = copy.folder.join("proc/sys/vm/swappiness");
    fs::write(&swappiness, "35\n").unwrap();

    let state = copy.state(&copy.root());
    let held = verify(&copy.root(), &state).expect("it verifies");
    assert_eq!(foreign(&held), ["/proc/sys/vm/swappiness"]);
    let done = undo(&copy.root(), &state, false).expect("it undoes the rest");
    assert_eq!(foreign(&done), ["/proc/sys/vm/swappiness"]);
    assert_eq!(fs::read_to_string(&swappiness).unwrap(), "35\n");
    let done = undo(&copy.root(), &state, true).expect("it is forced");
    assert_quiet(&done, "");
    copy.assert_tree(&before, "forced");
}

#[test]
fn a_directory_that_others_use_by_now_stays_and_holds_nothing_up() {
    let copy = Copy::of("firecracker-2vcpu", "shared-directory");
    let before = copy.tree();
    copy.apply(&copy.root(), "shared-vm", &copy.plan("shared-vm")).expect("it applies");
    copy.write("etc/security/limits.d/10-others.conf", "* - core 0\n");
    let done = undo(&copy.root(), &copy.state(&copy.root()), false).expect("it undoes");
    assert_quiet(&done, "");
    let stays: Vec<_> = done.iter().filter(|done| done.outcome == Outcome::InUse).collect();
    let stays: Vec<_> = stays.iter().map(|done| done.step.place()).collect();
    assert_eq!(stays, ["/etc/security/limits.d", "/etc/security"]);
    assert!(matches!(copy.state(&copy.root()).load(), Ok(None)));
    fs::remove_dir_all(copy.folder.join("etc/security")).unwrap();
    copy.assert_tree(&before, "but for what others made");
}

/// In a mount namespace where `/proc/sys` may only be read, as it is in most containers.
#[test]
fn what_may_only_be_read_is_refused_before_anything_is_touched() {
    let saved = Path::new(env!("CARGO_TARGET_TMPDIR")).join("read-only");
    let _ = fs::remove_dir_all(&saved);
    let inside = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && \
        exec \"$TUNE\" apply --profile own.toml --yes --state \"$SAVED\"";
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // No machine has that many seconds.
    fs::write(folder.join("own.toml"), "[kernel]\nstat_interval = 7777\n").unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", inside])
        .env("TUNE", env!("CARGO_BIN_EXE_mainspring-tune"))
        .env("SAVED", &saved)
        .current_dir(folder)
        .output();
    let output = match output {
        Ok(output) if output.status.code() == Some(2) => output,
        other => return println!("skipped: no mount namespace: {other:?}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("CAP_") {
        return println!("skipped: {said}");
    }
    let wanted =
        "kernel.stat_interval needs to write /proc/sys/vm/stat_interval, and this process may not";
    assert!(said.contains(wanted), "{said}");
    assert!(!saved.join("save").exists());
}

#[test]
fn a_second_apply_is_refused_while_one_is_at_work_and_until_it_is_undone() {
    let copy = Copy::of("firecracker-2vcpu", "second");
    let state = copy.state(&copy.root());
    let plan = copy.plan("shared-vm");
    let lock = state.lock().expect("nobody else");
    let refused = copy.apply(&copy.root(), "shared-vm", &plan).expect_err("locked");
    assert!(refused.contains("another apply or undo is at work"), "{refused}");
    drop(lock);
    assert!(matches!(state.load(), Ok(None)));
    copy.apply(&copy.root(), "shared-vm", &plan).expect("it applies");
    let tree = copy.tree();
    let lock = state.lock().expect("nobody else");
    let refused = undo(&copy.root(), &state, false);
    assert!(matches!(refused, Err(UndoError::Save(SaveError::Busy { .. }))), "{refused:?}");
    drop(lock);
    let refused = copy.apply(&copy.root(), "shared-vm", &plan).expect_err("not undone");
    assert!(refused.contains("shared-vm was applied and not undone"), "{refused}");
    copy.assert_tree(&tree, "refused");
}

#[test]
fn a_save_of_another_machine_or_another_boot_is_refused_and_says_what_to_do() {
    let copy = Copy::of("two-socket-smt", "elsewhere");
    copy.write("etc/machine-id", "aaaa\n");
    copy.write("proc/sys/kernel/random/boot_id", "first\n");
    let before = copy.tree();
    copy.apply(&copy.root(), "latency", &copy.plan("latency")).expect("it applies");
    let applied = copy.tree();
    let state = copy.state(&copy.root());

    copy.write("etc/machine-id", "bbbb\n");
    let refused = undo(&copy.root(), &state, true).expect_err("another machine").to_string();
    assert!(refused.contains("of the machine \"aaaa\", and this is \"bbbb\""), "{refused}");
    copy.write("etc/machine-id", "aaaa\n");

    copy.write("proc/sys/kernel/random/boot_id", "second\n");
    let refused = undo(&copy.root(), &state, false).expect_err("another boot").to_string();
    assert!(refused.contains("another boot") && refused.contains("undo --force"), "{refused}");
    assert!(matches!(verify(&copy.root(), &state), Err(UndoError::OtherBoot)));
    copy.write("proc/sys/kernel/random/boot_id", "first\n");
    copy.assert_tree(&applied, "refused");

    // Forced, the files of settings go back and the kernel is left as that boot made it.
    copy.write("proc/sys/kernel/random/boot_id", "second\n");
    let done = undo(&copy.root(), &state, true).expect("forced");
    assert_quiet(&done, "");
    let tree = copy.tree();
    for file in ["etc/default/irqbalance", "etc/security/limits.d/90-mainspring-tune.conf"] {
        assert_eq!(tree.get(Path::new(file)), before.get(Path::new(file)), "{file}");
    }
    let swappiness = Path::new("proc/sys/vm/swappiness");
    assert_eq!(tree.get(swappiness), applied.get(swappiness));
}

#[test]
fn without_the_privilege_nothing_is_touched() {
    let copy = Copy::of("two-socket-smt", "privilege");
    let before = copy.tree();
    let plan = copy.plan("latency");
    let nobody = Surroundings { capabilities: 0, ..copy.surroundings() };
    let state = copy.state(&copy.root());
    let refused = apply(&copy.root(), &state, &nobody, "latency", &plan).expect_err("refused");
    let refused = refused.to_string();
    assert!(refused.contains("CAP_SYS_ADMIN, which this process has not"), "{refused}");
    assert_eq!(refused.matches("--except cpu.governor").count(), 1, "{refused}");
    copy.assert_tree(&before, "refused");
    assert!(matches!(state.load(), Ok(None)));
}

#[test]
fn a_damaged_save_is_told_with_its_line_and_nothing_is_guessed() {
    let copy = Copy::of("firecracker-2vcpu", "damaged");
    copy.apply(&copy.root(), "shared-vm", &copy.plan("shared-vm")).expect("it applies");
    let applied = copy.tree();
    let path = copy.saved.join("save");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (damage, line) in [
        (String::new(), 1),
        (lines[0].to_owned(), 1),
        (text.replacen("before", "behind", 1), 2),
        (text.replacen(",\"before\":\"1\\n\"", "", 1), 2),
        (format!("{}\n{}", lines[0], &lines[1][..20]), 2),
        (text.replacen("\"steps\":", "\"steps\":99999999", 1), 1),
    ] {
        fs::write(&path, damage).unwrap();
        let refused = undo(&copy.root(), &copy.state(&copy.root()), true).expect_err("damaged");
        let refused = refused.to_string();
        assert!(refused.contains(&format!("damaged in line {line}:")), "{refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
    }
    copy.assert_tree(&applied, "damaged");
}

#[test]
fn the_commands_walk_a_machine_there_and_back() {
    let copy = Copy::of("two-socket-smt", "commands");
    let before = copy.tree();
    let root = copy.folder.display().to_string();
    let saved = copy.saved.display().to_string();
    let run = |words: &[&str]| {
        let words = ["mainspring-tune"].iter().chain(words).map(|word| (*word).into());
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let also = ["--root", &root, "--state", &saved].map(|word| word.to_owned().into());
        let code = command::run(words.chain(also), &mut out, &mut errors);
        (code, String::from_utf8(out).unwrap() + &String::from_utf8(errors).unwrap())
    };
    let says = |words: &[&str], code: u8, text: &str| {
        let (ran, said) = run(words);
        assert!(ran == code && said.contains(text), "{words:?}: {ran} {said}");
    };
    says(&["undo"], 2, "there is no save in");
    says(&["verify"], 2, "there is no save in");
    says(&["apply", "--profile", "laptop", "--yes"], 2, "laptop is for audits only");
    says(&["apply", "--only", "cpu.govenor"], 2, "did you mean cpu.governor?");
    says(&["apply"], 1, "nothing was changed: --yes makes the steps");
    says(&["apply", "--json"], 1, "\"kind\": \"write\"");
    copy.assert_tree(&before, "dry run");
    says(&["apply", "--yes", "--only", "cpu.governor"], 0, "16 steps: 16 made");
    says(&["apply", "--yes"], 2, "`mainspring-tune undo` first");
    says(&["verify"], 0, "16 steps: 16 holds");
    says(&["undo", "--json"], 0, "\"outcome\": \"taken back\"");
    copy.assert_tree(&before, "undone");
}

/// What may be written without harm is written and restored; what may not is printed.
#[test]
fn this_machine_is_changed_a_little_and_restored() {
    let root = SysRoot::real();
    let wanted = Profile::load("latency").expect("built in").wanted;
    let facts = Facts::probe(&root, &checks_of(&wanted)).expect("it tells its CPUs");
    let mut audit = Audit::of(&facts, &wanted);
    audit.findings.retain(|finding| HARMLESS.contains(&finding.id));
    let plan = Plan::of(&audit);
    let saved = Path::new(env!("CARGO_TARGET_TMPDIR")).join("this-machine");
    let _ = fs::remove_dir_all(&saved);
    let state = State::at(&root, &saved);
    let places: Vec<PathBuf> =
        plan.actions.iter().map(|action| action.step.place().into()).collect();
    let read = || places.iter().map(|place| fs::read(place).unwrap()).collect::<Vec<_>>();
    let before = read();
    let _guard = Originals(places.iter().cloned().zip(before.clone()).collect());
    match apply(&root, &state, facts.surroundings(), "latency", &plan) {
        Ok(done) if done.is_empty() => println!("skipped: nothing harmless differs here"),
        Ok(done) => {
            println!("changed and restored: {places:?}");
            let undone = undo(&root, &state, false).expect("it undoes");
            assert_eq!(read(), before);
            assert_quiet(&done, "");
            assert_quiet(&undone, "");
        }
        Err(refusal) => {
            println!("skipped: {refusal}");
            assert_eq!(read(), before);
        }
    }
}

/// What the machine's files held: it is there again when the test ends, also when it ends by a failure.
struct Originals(Vec<(PathBuf, Vec<u8>)>);

impl Drop for Originals {
    fn drop(&mut self) {
        for (path, bytes) in &self.0 {
            if fs::read(path).is_ok_and(|now| now != *bytes) {
                // The failure is told by the test.
                let _ = fs::write(path, bytes);
            }
        }
    }
}

/// Settings that no program notices for the length of a test.
const HARMLESS: [&str; 2] = ["kernel.stat_interval", "net.slow_start"];

fn attention(done: &[Done]) -> Vec<&Done> {
    done.iter().filter(|done| done.outcome.needs_attention()).collect()
}

fn assert_quiet(done: &[Done], what: &str) {
    assert!(attention(done).is_empty(), "{what}: {:?}", attention(done));
}

fn foreign(done: &[Done]) -> Vec<&str> {
    let foreign = done.iter().filter(|done| matches!(done.outcome, Outcome::Foreign(_)));
    foreign.map(|done| done.step.place()).collect()
}

/// A recorded machine that a test may change, and a folder for its state; removed when dropped.
struct Copy {
    folder: PathBuf,
    saved: PathBuf,
}

impl Copy {
    fn of(machine: &str, test: &str) -> Copy {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("apply-{test}-{machine}"));
        let _ = fs::remove_dir_all(&base);
        let copy = Copy { folder: base.join("machine"), saved: base.join("state") };
        let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines");
        copy_folder(&machines.join(machine), &copy.folder);
        copy.write("etc/hostname", "recorded\n");
        copy
    }

    fn root(&self) -> SysRoot {
        SysRoot::recorded(&self.folder)
    }

    fn state(&self, root: &SysRoot) -> State {
        State::at(root, &self.saved)
    }

    fn write(&self, path: &str, text: &str) {
        let place = self.folder.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }

    fn facts(&self, profile: &Profile) -> Facts {
        Facts::probe(&self.root(), &checks_of(&profile.wanted)).expect("it tells its CPUs")
    }

    fn plan(&self, profile: &str) -> Plan {
        let profile = Profile::load(profile).expect("built in");
        Plan::of(&Audit::of(&self.facts(&profile), &profile.wanted))
    }

    /// Of an administrator, whoever recorded it.
    fn surroundings(&self) -> Surroundings {
        let facts = self.facts(&Profile::load("latency").expect("built in"));
        Surroundings { capabilities: u64::MAX, ..facts.surroundings().clone() }
    }

    fn apply(&self, root: &SysRoot, profile: &str, plan: &Plan) -> Result<Vec<Done>, String> {
        let state = self.state(root);
        let done = apply(root, &state, &self.surroundings(), profile, plan);
        done.map_err(|error| error.to_string())
    }

    /// Every path below the machine's folder, with what the file holds.
    fn tree(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut tree = BTreeMap::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&self.folder).unwrap().to_owned();
                if path.is_dir() {
                    tree.insert(name, None);
                    folders.push(path);
                } else {
                    tree.insert(name, Some(fs::read(path).unwrap()));
                }
            }
        }
        tree
    }

    fn assert_tree(&self, wanted: &BTreeMap<PathBuf, Option<Vec<u8>>>, what: &str) {
        let tree = self.tree();
        let differing: Vec<_> = wanted
            .iter()
            .filter(|(path, bytes)| tree.get(*path) != Some(bytes))
            .map(|(path, _)| path)
            .chain(tree.keys().filter(|path| !wanted.contains_key(*path)))
            .collect();
        assert!(differing.is_empty(), "{what}: {differing:?}");
    }

    /// An undo, if there is anything to undo, leaves this tree.
    fn assert_undone(&self, before: &BTreeMap<PathBuf, Option<Vec<u8>>>, what: &str) {
        let root = self.root().crashing_after(MANY_WRITES);
        match undo(&root, &self.state(&root), false) {
            Ok(done) => assert_quiet(&done, what),
            Err(UndoError::NothingSaved { .. }) => {}
            Err(error) => panic!("{what}: {error}"),
        }
        self.assert_tree(before, what);
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.folder.parent().unwrap());
    }
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
