//! `compare` and `pair` with real processes: peers that are right, wrong, failing, hanging or not installed, as small
//! scripts in a folder of their own.
//!
//! mainspring's side is stood in for by such a script too, where the test is about what happens to the others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainspring_perf::comparison::contest::{self, ContestError, ContestSettings, Contested, Watch};
use mainspring_perf::comparison::contestant::Contestant;
use mainspring_perf::comparison::line_up::{self, Chosen, LineUpError};
use mainspring_perf::comparison::peer::Peer;
use mainspring_perf::raw::affinity;
use mainspring_perf::scenario;
use mainspring_perf_contest::program;

/// A program of the contest with 100,000 messages an iteration, which come to the same sum.
const PROGRAM: &str = "savina-thread-ring";
/// Does a round right: one nanosecond a message. The arguments are `round PROGRAM --messages N --cores L`.
const RIGHT: &str = "echo warming up; echo messages=$4 elapsed_ns=$4 sum=$4";

/// A folder of peers that is this test's alone.
struct Peers(PathBuf);

impl Peers {
    fn new(test: &str) -> Peers {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers-of-a-test").join(test);
        // It is not there unless an earlier run was killed.
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a writable target folder");
        Peers(folder)
    }

    /// A peer whose rounds this script does, with further lines of its `peer.toml`.
    fn with(self, name: &str, script: &str, further: &str) -> Peers {
        let folder = self.0.join(name);
        fs::create_dir(&folder).expect("each peer once");
        fs::write(folder.join("round.sh"), script).expect("writable");
        let description = format!(
            "name = \"{name}\"\nmeasured = \"a script\"\nsettings = \"none\"\n\
             programs = [\"{PROGRAM}\", \"ping-pong-same-core\"]\n\
             run = [\"sh\", \"{{peers}}/{name}/round.sh\"]\n{further}\n"
        );
        fs::write(folder.join("peer.toml"), description).expect("writable");
        self
    }

    fn contestants(&self) -> Vec<Contestant> {
        let program = program::find(PROGRAM).expect("registered");
        let peers = Peer::all_in(&self.0).expect("well described");
        peers.iter().map(|peer| Contestant::of_peer(peer, program)).collect()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn settings(blocks: usize, deadline: Duration) -> ContestSettings {
    let cpus = affinity::allowed_cpus().expect("readable")[..1].to_vec();
    ContestSettings { blocks, round: Duration::from_millis(1), deadline, cpus, yields: false }
}

/// A contest of these peers, the first of which the others are compared with.
fn held(peers: &Peers, settings: &ContestSettings) -> Result<Contested, ContestError> {
    let stop = AtomicBool::new(false);
    let mut watch = Watch { progress: &mut |_| {}, stop: &stop };
    contest::hold(&peers.contestants(), settings, &mut watch)
}

/// The same, stopped when the last peer's turn of this block comes.
fn held_until(peers: &Peers, block: &str) -> Result<Contested, ContestError> {
    let stop = AtomicBool::new(false);
    let mut progress = |step: &str| {
        if step.starts_with(block) && step.ends_with("b-right") {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let mut watch = Watch { progress: &mut progress, stop: &stop };
    contest::hold(&peers.contestants(), &settings(4, LONG_ENOUGH), &mut watch)
}

const LONG_ENOUGH: Duration = Duration::from_secs(60);

fn perf(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainspring-perf"));
    // Result folders belong below the target folder.
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.args(arguments).stdin(Stdio::null()).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The arguments of a comparison with one of these peers.
fn compared<'a>(peers: &'a Peers, named: &'a str) -> Vec<&'a str> {
    let folder = peers.0.to_str().expect("UTF-8");
    vec!["compare", PROGRAM, "--rounds", "3", "--peers", named, "--peers-folder", folder]
}

#[test]
fn peers_that_are_wrong_fail_or_say_nothing_are_out_and_the_rest_goes_on() {
    let peers = Peers::new("wrong")
        .with("a-right", RIGHT, "")
        .with("b-wrong", "echo messages=$4 elapsed_ns=1 sum=7", "")
        .with("c-failing", "echo the disk is on fire >&2; exit 3", "")
        .with("d-silent", "echo hello", "")
        .with("e-lazy", "echo messages=1 elapsed_ns=1 sum=1", "")
        .with("f-also-right", RIGHT, "");
    let contested = held(&peers, &settings(3, LONG_ENOUGH)).expect("the first is right");
    let out: Vec<Option<&str>> =
        contested.standings.iter().map(|standing| standing.out.as_deref()).collect();
    assert_eq!(out[0], None);
    assert!(out[1].expect("out").starts_with("its sum is wrong: the work came to 7"), "{out:?}");
    assert_eq!(out[2], Some("it ended with exit code 3: the disk is on fire"));
    assert!(out[3].expect("out").contains("no line"), "{out:?}");
    assert_eq!(out[4], Some("it did 1 messages where 100000 were asked for"));
    assert_eq!(out[5], None);
    for standing in [&contested.standings[0], &contested.standings[5]] {
        assert_eq!(standing.messages, 1_000_000, "1 ms at 1 ns a message");
        assert_eq!(standing.ns_per_message, [1.0; 3]);
    }
    assert_eq!(contested.calibration_ns.len(), 3);
}

#[test]
fn a_peer_that_hangs_is_killed_at_the_deadline_and_is_out() {
    let peers =
        Peers::new("hangs").with("a-right", RIGHT, "").with("b-hangs", "exec sleep 600", "");
    let settings = settings(2, Duration::from_secs(2));
    let contested = held(&peers, &settings).expect("first is right");
    let out = contested.standings[1].out.as_deref();
    assert_eq!(out, Some("it was not done after 2000 ms and was killed"));
    assert_eq!(contested.standings[0].ns_per_message, [1.0; 2]);
}

#[test]
fn a_peer_that_becomes_wrong_later_loses_all_its_figures() {
    // Its second round of the blocks is wrong; sizing has called it before that.
    let script = "n=$(cat $0.calls 2>/dev/null || echo 0); n=$((n+1)); echo $n > $0.calls\n\
        if [ $n -gt 3 ]; then exit 1; fi\necho messages=$4 elapsed_ns=$4 sum=$4";
    let peers = Peers::new("later").with("a-right", RIGHT, "").with("b-later", script, "");
    let contested = held(&peers, &settings(3, LONG_ENOUGH)).expect("the first is right");
    assert!(contested.standings[1].out.is_some(), "{:?}", contested.standings[1]);
    assert_eq!(contested.standings[1].ns_per_message, [0.0; 0]);
}

#[test]
fn a_contest_that_is_stopped_keeps_its_whole_blocks_and_says_so() {
    let peers = Peers::new("stopped").with("a-right", RIGHT, "").with("b-right", RIGHT, "");
    // Block 3 goes forwards, so the first contestant has done its round of it.
    let contested = held_until(&peers, "block 3 ").expect("two blocks are whole");
    assert!(contested.is_interrupted);
    assert_eq!(contested.calibration_ns.len(), 2);
    for standing in &contested.standings {
        assert_eq!((standing.ns_per_message.len(), &standing.out), (2, &None));
    }
    for too_early in ["sizing", "block 1 "] {
        let error = held_until(&peers, too_early).expect_err("nothing is whole");
        assert!(matches!(error, ContestError::Interrupted), "{error:?}");
    }
}

#[test]
fn without_the_first_contestant_there_is_no_contest() {
    let peers = Peers::new("first").with("a-failing", "exit 1", "").with("b-right", RIGHT, "");
    let error = held(&peers, &settings(3, LONG_ENOUGH)).expect_err("the first fails");
    assert_eq!(error.to_string(), "a-failing: it ended with exit code 1");
}

#[test]
fn a_contestant_runs_on_the_cpus_of_the_contest() {
    let script = "grep Cpus_allowed_list /proc/self/status >&2; exit 1";
    let peers = Peers::new("cpus").with("a-tells", script, "");
    let cpu = *affinity::allowed_cpus().expect("readable").last().expect("a CPU");
    let settings = ContestSettings { cpus: vec![cpu], ..settings(3, LONG_ENOUGH) };
    let error = held(&peers, &settings).expect_err("it fails");
    let told = error.to_string();
    assert_eq!(told.split_whitespace().last(), Some(cpu.to_string().as_str()), "{told}");
}

#[test]
fn a_peer_whose_need_is_not_met_or_that_cannot_be_built_is_left_out_with_its_reason() {
    let needs = "[needs]\ncommand = [\"false\"]\nremedy = \"install it first\"";
    let build = "build = [\"sh\", \"-c\", \"echo no compiler here >&2; exit 9\"]";
    let made = "build = [\"sh\", \"-c\", \"echo made > {peers}/d-made/made\"]";
    let peers = Peers::new("needs")
        .with("b-needs", RIGHT, needs)
        .with("c-broken", RIGHT, build)
        .with("d-made", RIGHT, made);
    let scenario = scenario::find("ping-pong-same-core").expect("registered");
    let mut notes = Vec::new();
    let mut note = |text: &str| notes.push(text.to_owned());
    let harness = Path::new("no-such-harness");
    let found = line_up::line_up(scenario, &Chosen::All, harness, &peers.0, &mut note)
        .expect("what is left out spoils nothing");
    let names: Vec<&str> = found.contestants.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["mainspring", "raw-memory-loop", "d-made", "empty"]);
    assert!(peers.0.join("d-made/made").exists());
    let left_out: Vec<&str> = found.left_out.iter().map(|peer| peer.reason.as_str()).collect();
    assert!(left_out[0].contains("install it first"), "{left_out:?}");
    assert!(left_out[1].contains("no compiler here"), "{left_out:?}");
    assert_eq!(notes, ["building peer c-broken", "building peer d-made"]);

    let named = Chosen::Named(vec!["b-needs".to_owned()]);
    let refused = line_up::line_up(scenario, &named, harness, &peers.0, &mut |_| {});
    assert!(matches!(refused, Err(LineUpError::NeedNotMet { .. })), "{refused:?}");
}

#[test]
fn what_cannot_be_compared_is_one_line_with_a_remedy_and_exit_code_2() {
    let needs = "[needs]\ncommand = [\"false\"]\nremedy = \"install it first\"";
    let peers = Peers::new("refused").with("right", RIGHT, "").with("needy", RIGHT, needs);
    let folder = peers.0.to_str().expect("UTF-8");
    let ping_pong = ["compare", "ping-pong-same-core", "--peers-folder", folder];
    let with = |further: &[&'static str]| {
        let further = further.iter().copied();
        ping_pong.iter().map(|word| (*word).to_owned()).chain(further.map(str::to_owned)).collect()
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<String>>();
    let cases: Vec<(Vec<String>, &str)> = vec![
        (words("compare no-such-scenario"), "`mainspring-perf list` shows all"),
        (words("compare ping-pong-cross-core --cores 0 --rounds 3"), "change --cores"),
        (words("compare raw-memory-loop --peers right"), "leave --peers out"),
        (with(&["--cores", "4095"]), "choose among these"),
        (with(&["--rounds", "2"]), "choose 3 to 1000"),
        (with(&["--round-ms", "0"]), "choose 1 to 60000"),
        (with(&["--deadline-seconds", "0"]), "choose 1 to 3600"),
        (with(&["--peers", "nobody"]), "there are: needy, right"),
        (with(&["--peers", "needy"]), "install it first"),
        (with(&["--peers", "none", "--out", "/proc/nowhere"]), "with --out"),
        (words("compare tell-same-core --peers-folder no-such-folder"), "--peers none"),
        (words("pair no-such-revision . ping-pong-same-core"), "no revision"),
        (words("pair --upload-pack=x . ping-pong-same-core"), "unexpected argument"),
    ];
    for (arguments, remedy) in cases {
        let output = perf(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(remedy), "{arguments:?}: {message}");
        assert!(remedy.starts_with("unexpected") || message.lines().count() == 1, "{message}");
    }
    let mut lacking = compared(&peers, "right");
    lacking[1] = "ask-same-core";
    let output = perf(&lacking);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("does not have \"ask-same-core\""));
}

#[test]
fn mainspring_stands_beside_its_limit_and_a_peer_in_one_json() {
    // Half the sum of the numbers from 0 up, as the program comes to; the shell counts with 64 bits.
    let script = "n=$(($4/2)); echo messages=$4 elapsed_ns=$(($4*1000)) sum=$((n*(n-1)/2))";
    let peers = Peers::new("beside").with("slow", script, "");
    let mut arguments = compared(&peers, "slow");
    arguments[1] = "ping-pong-same-core";
    let out = peers.0.join("results");
    let out = out.to_str().expect("UTF-8");
    arguments.extend(["--round-ms", "5", "--json", "--show-invalid", "--out", out]);
    let output = perf(&arguments);
    let said = text(&output.stderr);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect(&said);
    let names: Vec<&str> = json["contestants"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["name"].as_str())
        .collect();
    assert_eq!(names, ["mainspring", "raw-memory-loop", "slow"]);
    assert_eq!(json["contestants"][2]["ns_per_message"], 1000.0);
    assert_eq!(json["best_peer"]["name"], "slow");
    let ratio = json["best_peer"]["ratio"]["median"].as_f64().expect("a ratio");
    let own = json["contestants"][0]["ns_per_message"].as_f64().expect("a time");
    assert!((ratio * own / 1000.0 - 1.0).abs() < 0.5, "{ratio} times {own} ns is about 1 us");
    assert!(json["harness"]["section_ns"].as_f64().expect("measured") > 0.0);
    let expected_code = if json["verdict"] == "invalid" { 1 } else { 0 };
    assert_eq!(output.status.code(), Some(expected_code), "{said}");
    let mut folders = fs::read_dir(out).expect("the folder of results").flatten();
    let folder = folders.next().expect("one result").path();
    assert!(folders.next().is_none(), "one result");
    let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(name.contains("-compare-ping-pong-same-core-"), "{name}");
    let read = |file: &str| fs::read_to_string(folder.join(file)).expect(file);
    assert_eq!(read("compare.json").trim(), text(&output.stdout).trim());
    assert!(read("env.json").contains("\"versions\""));
    assert!(read("report.html").contains("slow"));
}

#[test]
fn an_interrupted_comparison_shows_its_whole_blocks_and_says_so() {
    // Sizing calls it twice; its fifth call, in block 3, is where somebody presses Ctrl-C, which ends it too.
    let script = "c=$(cat $0.calls 2>/dev/null || echo 0); c=$((c+1)); echo $c > $0.calls\n\
        if [ $c -eq 5 ]; then kill -INT $PPID; exit 130; fi\n\
        n=$(($4/2)); echo messages=$4 elapsed_ns=$(($4*1000)) sum=$((n*(n-1)/2))";
    let peers = Peers::new("interrupted").with("slow", script, "");
    let mut arguments = compared(&peers, "slow");
    (arguments[1], arguments[3]) = ("ping-pong-same-core", "9");
    let out = peers.0.to_str().expect("UTF-8");
    arguments.extend(["--round-ms", "5", "--json", "--show-invalid", "--out", out]);
    let output = perf(&arguments);
    let said = text(&output.stderr);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect(&said);
    assert_eq!(json["rounds"], 2);
    assert_eq!(json["reasons"][0], "interrupted after 2 of 9 blocks");
    assert_eq!(json["blocks"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["contestants"][2]["ns_per_message"], 1000.0, "it is not out: {json}");
    assert_ne!(json["verdict"], "valid");
}

#[test]
fn the_program_that_is_running_is_compared_with_itself() {
    let folder = Peers::new("pair");
    let out = folder.0.to_str().expect("UTF-8");
    let short = ["--rounds", "3", "--round-ms", "2", "--json", "--out", out];
    let output =
        perf(&[&["pair", ".", "working-tree", "ping-pong-same-core"], &short[..]].concat());
    let said = text(&output.stderr);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect(&said);
    assert_eq!(json["a"]["commit"], "working-tree");
    assert_eq!(json["a"]["messages"].as_u64().map(|messages| messages > 0), Some(true));
    if json["verdict"] == "invalid" {
        println!("ratios not checked: {}", json["reasons"]);
        assert_eq!(json["conclusion"], "cannot-tell");
        return;
    }
    assert!(json["ratio_a_to_a"]["low"].as_f64() <= json["ratio_a_to_a"]["high"].as_f64());
    assert!(json["ratio_b_to_a"]["median"].as_f64().expect("a ratio") > 0.0);
}
