//! The command `mainspring-journal`: its verdicts, what it prints, and that what it saves is what was left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mainspring_journal::directory::segment_name;
use mainspring_journal::log::SegmentFile;
use mainspring_journal::testkit::SimulatedDisk;
use mainspring_journal::tool;
use serde_json::Value;

use crate::damage::{Damage, damaged};
use crate::damaged_inputs;
use crate::golden;
use crate::oracle::Event;
use crate::page_reader::{self, ALL_RULES};
use crate::world::events_of;

/// What a command line did.
struct Ran {
    code: u8,
    out: String,
    errors: String,
}

fn run(arguments: &[&str]) -> Ran {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("mainspring-journal").chain(arguments.iter().copied());
    let code = tool::run(arguments.map(Into::into), &mut out, &mut errors);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code, out: text(out), errors: text(errors) }
}

/// A folder that is removed when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("mainspring-journal-tool-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // What an earlier run left, if anything.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder");
        Scratch(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("text")
    }

    fn with(name: &str, disk: &SimulatedDisk) -> Scratch {
        let scratch = Scratch::new(name);
        for file in disk.file_names() {
            fs::write(scratch.0.join(segment_name(file)), disk.bytes(file)).expect("a file");
        }
        scratch
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next run removes what is left.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn golden_path(log: &str) -> String {
    golden::folder(log).to_str().expect("text").to_owned()
}

#[test]
fn the_exit_code_is_the_verdict_of_every_command() {
    for (log, code) in [("whole", 0), ("torn", 1), ("corrupt", 2)] {
        for command in ["info", "dump", "verify", "scrub"] {
            let ran = run(&[command, &golden_path(log)]);
            assert_eq!((ran.code, ran.errors.as_str()), (code, ""), "{command} {log}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_one_clear_line_and_code_3() {
    let empty = Scratch::new("empty");
    fs::write(empty.0.join("0000000000000001.footer"), "no segment").expect("a file");
    let nowhere = format!("{}/nowhere", empty.path());
    let whole = golden_path("whole");
    for (arguments, says) in [
        (&["info", empty.path()][..], "holds no segment of a core log"),
        (&["verify", &nowhere], "nowhere"),
        (&["scrub"], "required arguments were not provided: <DIRECTORY>"),
        (&["repair", &whole], "unrecognized subcommand 'repair'"),
        (&["dump", &whole, "--entity", "account"], "names no entity"),
        (&["salvage", &whole, &whole], "is there and not empty"),
    ] {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{arguments:?}");
        assert!(ran.errors.contains(says), "{arguments:?}: {}", ran.errors);
        assert_eq!(ran.errors.lines().count(), 1, "{}", ran.errors);
    }
}

#[test]
fn a_segment_of_a_newer_format_is_no_corruption() {
    let scratch = Scratch::new("newer");
    let mut bytes = golden::committed("whole")[&1].clone();
    bytes[8] = 2;
    let sum = crc32c::crc32c(&bytes[..4092]);
    bytes[4092..4096].copy_from_slice(&sum.to_le_bytes());
    fs::write(scratch.0.join("0000000000000001.segment"), bytes).expect("a file");
    for command in ["info", "verify", "scrub"] {
        let ran = run(&[command, scratch.path()]);
        assert_eq!(ran.code, 3, "{command}");
        assert!(ran.errors.contains("format version 2"), "{}", ran.errors);
    }
}

#[test]
fn json_is_one_object_a_line_with_the_facts_of_the_text() {
    for command in ["info", "dump", "verify", "scrub"] {
        for log in golden::LOGS {
            let (text, json) =
                (run(&[command, &golden_path(log)]), run(&["--json", command, &golden_path(log)]));
            let facts: Vec<String> = json.out.lines().map(fact_of).collect();
            let names: Vec<&str> =
                text.out.lines().filter_map(|line| line.split_whitespace().next()).collect();
            assert_eq!(
                (facts, json.code),
                (names.iter().map(|n| n.to_string()).collect(), text.code)
            );
        }
    }
}

fn fact_of(line: &str) -> String {
    let object: Value = serde_json::from_str(line).expect("an object");
    object["fact"].as_str().expect("a name").to_owned()
}

#[test]
fn one_entity_is_dumped_by_the_name_that_is_shown() {
    let ran = run(&["dump", &golden_path("whole"), "--entity", r"cart/\xff/\x00"]);
    assert_eq!(ran.out.lines().count(), 5, "{}", ran.out);
    assert!(ran.out.lines().all(|line| line.contains(r"cart/\xff/\x00")), "{}", ran.out);
    let ran = run(&["dump", &golden_path("whole"), "--entity", "account/43"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
}

#[test]
fn the_program_is_the_library() {
    let program = env!("CARGO_BIN_EXE_mainspring-journal");
    let output = std::process::Command::new(program)
        .args(["verify", &golden_path("corrupt")])
        .output()
        .expect("it runs");
    let ran = run(&["verify", &golden_path("corrupt")]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stdout).expect("text"), ran.out);
}

const DAMAGES: [Damage; 5] =
    [Damage::Flip, Damage::Rot, Damage::Forgotten, Damage::Misdirected, Damage::Removed];

/// `scrub` goes on where `verify` stops; on whether anything is wrong they agree.
#[test]
fn scrub_and_verify_agree_on_whether_a_log_is_corrupt() {
    for seed in 0..60 {
        for damage in DAMAGES {
            let world = damaged(seed, damage);
            let scratch = Scratch::with("agree", &world.disk);
            let (verify, scrub) =
                (run(&["verify", scratch.path()]), run(&["scrub", scratch.path()]));
            assert_eq!(
                (verify.code, verify.errors),
                (scrub.code, scrub.errors),
                "seed {seed}, {damage:?}:\n{}\n{}",
                verify.out,
                scrub.out
            );
        }
    }
}

#[test]
fn salvage_saves_what_is_whole_names_what_is_missing_and_leaves_the_old_log_alone() {
    for seed in 0..60 {
        for damage in DAMAGES {
            let world = damaged(seed, damage);
            let old = Scratch::with("old", &world.disk);
            let new = Scratch::new("new");
            let before = files_in(&old.0);
            let ran = run(&["--json", "salvage", old.path(), new.path()]);
            let context = format!("seed {seed}, {damage:?}:\n{}{}", ran.out, ran.errors);
            assert!(files_in(&old.0) == before, "{context}");
            if ran.code == 3 {
                assert!(ran.errors.contains("no segment"), "{context}");
                continue;
            }
            let is_begun = !files_in(&new.0).is_empty();
            assert_eq!(
                run(&["verify", new.path()]).code,
                if is_begun { 0 } else { 3 },
                "{context}"
            );
            let log = page_reader::read(&files_in(&new.0), ALL_RULES).expect("it is whole");
            check_saved(&world.ledger.events(), &events_of(&log), &ran.out, &context);
        }
    }
}

/// Each event that was acknowledged is saved as it was, or it is said to be missing, or nothing of its entity that is
/// later was left.
fn check_saved(acknowledged: &[Event], saved: &[Event], out: &str, context: &str) {
    let (mut first, mut last) = (BTreeMap::new(), BTreeMap::<&[u8], u64>::new());
    for event in saved {
        assert!(acknowledged.contains(event), "{event:?} was never appended: {context}");
        first.entry(&event.entity.id[..]).or_insert(event.sequence);
        let before = last.insert(&event.entity.id, event.sequence).unwrap_or(0);
        assert!(event.sequence > before, "{context}");
    }
    let facts: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    for event in acknowledged.iter().filter(|event| !saved.contains(event)) {
        let name = format!("account/{}", event.entity.id.escape_ascii());
        let is_behind = last.get(&event.entity.id[..]).is_none_or(|last| *last < event.sequence);
        let is_named = facts.iter().any(|fact| {
            let is_in = fact["first"].as_u64().is_some_and(|first| first <= event.sequence)
                && fact["last"].as_u64().is_some_and(|last| event.sequence <= last);
            fact["fact"] == "missing" && fact["entity"] == *name && is_in
        });
        // What stood in segments that are gone as a whole is not known to anybody.
        let is_before = facts.iter().any(|fact| fact["fact"] == "begins")
            && first.get(&event.entity.id[..]).is_some_and(|first| event.sequence < *first);
        assert!(
            is_behind || is_before || is_named,
            "{name} {} went unnamed: {context}",
            event.sequence
        );
    }
    let damages = facts.iter().filter(|fact| fact["fact"] == "damage").count();
    assert!(saved.len() == acknowledged.len() || damages > 0, "{context}");
}

/// Whatever the bytes are: a verdict, or one line that says why there is none.
#[test]
fn no_command_panics_on_any_bytes() {
    let mut codes = BTreeMap::new();
    for seed in 0..150 {
        let mut random = fastrand::Rng::with_seed(seed);
        let scratch = Scratch::new("bytes");
        for (number, mut bytes) in golden::committed(golden::LOGS[(seed % 3) as usize]) {
            damaged_inputs::damage(&mut bytes, &mut random);
            let name = segment_name(SegmentFile(number));
            fs::write(scratch.0.join(name), bytes).expect("a file");
        }
        let new = Scratch::new("bytes-new");
        for command in ["info", "dump", "verify", "scrub", "salvage"] {
            let mut arguments = vec![command, scratch.path()];
            arguments.extend((command == "salvage").then_some(new.path()));
            let ran = run(&arguments);
            assert_eq!(ran.code == 3, !ran.errors.is_empty(), "seed {seed}: {}", ran.errors);
            assert!(ran.errors.lines().count() <= 1, "seed {seed}: {}", ran.errors);
            *codes.entry(ran.code).or_insert(0) += 1;
        }
    }
    assert_eq!(codes.keys().copied().collect::<Vec<u8>>(), [0, 1, 2, 3], "{codes:?}");
}

/// One flipped bit costs at most the record that it is in; in a dictionary it costs what refers to it.
#[test]
fn a_flipped_bit_costs_one_record_at_most_where_names_are_left() {
    let mut costs = BTreeMap::new();
    for seed in 0..200 {
        let world = damaged(seed, Damage::Flip);
        let old = Scratch::with("flip-old", &world.disk);
        let new = Scratch::new("flip-new");
        let ran = run(&["--json", "salvage", old.path(), new.path()]);
        if ran.code == 3 || ran.out.lines().any(|line| fact_of(line) == "lost") {
            continue;
        }
        let log = page_reader::read(&files_in(&new.0), ALL_RULES).expect("it is whole");
        let cost = world.ledger.events().len() - events_of(&log).len();
        *costs.entry(cost).or_insert(0) += 1;
    }
    assert!(costs.keys().all(|cost| *cost <= 1), "records lost, and how often: {costs:?}");
    assert!(costs.contains_key(&1) && costs.contains_key(&0), "{costs:?}");
}

fn files_in(folder: &Path) -> BTreeMap<u64, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let number = u64::from_str_radix(stem, 16).expect("a number");
        files.insert(number, fs::read(&path).expect("a file"));
    }
    files
}

/// Every command of the page, with what the page says that it prints.
#[test]
fn the_page_shows_what_the_commands_print() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let page = fs::read_to_string(root.join("docs/journal-tool.md")).expect("the page");
    let scratch = Scratch::new("page");
    let mut blocks = page.split("```").skip(1).step_by(2).peekable();
    let mut commands = 0;
    while let Some(block) = blocks.next() {
        let Some(line) = block.strip_prefix("sh\n") else { continue };
        let line = line.trim().trim_start_matches("cargo run -p mainspring-journal --bin ");
        let words = line.split_whitespace().filter(|word| *word != "--");
        let arguments: Vec<String> = words
            .skip(1)
            .map(|word| match word {
                "saved" => scratch.0.join("saved").to_str().expect("text").to_owned(),
                word if word.starts_with("journal/") => format!("{}/{word}", root.display()),
                word => word.to_owned(),
            })
            .collect();
        let ran = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(ran.errors, "", "{line}");
        if let Some(shown) = blocks.peek().and_then(|block| block.strip_prefix("text\n")) {
            assert_eq!(ran.out, shown, "{line}");
        }
        commands += 1;
    }
    assert!(commands >= 8, "only {commands} commands were found");
}
