//! `run --rate` and `curve` as a user meets them: the folder they leave behind, what they refuse, and Ctrl-C.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mainspring_perf::raw::affinity;
use mainspring_perf::result_folder::folder::UNFINISHED;

/// Longer than anything here takes on a machine that is busy.
const LONG_ENOUGH: Duration = Duration::from_secs(120);

/// A folder for results that is gone when the test is over.
struct Out(PathBuf);

impl Out {
    fn new(test: &str) -> Out {
        let name = format!("mainspring-load-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a temporary folder");
        Out(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("readable");
        entries
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// The only folder.
    fn only(&self) -> PathBuf {
        let names = self.names();
        assert_eq!(names.len(), 1, "{names:?}");
        self.0.join(&names[0])
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_mainspring-perf"));
    program.stdin(Stdio::null());
    program
}

fn perf(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).expect("the file is there")).expect("JSON")
}

fn has_two_cpus() -> bool {
    let enough = affinity::allowed_cpus().expect("readable").len() >= 2;
    if !enough {
        println!("skipped: a generator and a service need two CPUs");
    }
    enough
}

#[test]
fn a_load_leaves_a_whole_folder_behind() {
    if !has_two_cpus() {
        return;
    }
    let out = Out::new("whole");
    let output = perf(&[
        "run",
        "ask-cross-core",
        "--rate",
        "2000",
        "--seconds",
        "0.5",
        "--payload",
        "64",
        "--arrivals",
        "poisson",
        "--json",
        "--out",
        out.path(),
    ]);
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let folder = out.only();
    assert!(!folder.ends_with(UNFINISHED), "{folder:?}");
    assert_eq!(json(&folder.join("run.json")), result);
    assert_eq!(result["payload_bytes"], 64);
    assert_eq!(result["arrivals"], "poisson");
    let is_invalid = result["verdict"] == "invalid";
    assert_eq!(output.status.code(), Some(i32::from(is_invalid)), "{result}");
    assert_eq!(result["response_p99_ns"].is_null(), is_invalid, "{result}");
    for file in ["response.hlog", "response.hgrm", "service.hgrm", "env.json", "report.html"] {
        assert!(folder.join(file).is_file(), "{file} is missing");
    }
    let percentiles = fs::read_to_string(folder.join("response.hgrm")).expect("text");
    let count = format!("{:>12}]", result["answered"].as_u64().expect("a number"));
    assert!(percentiles.contains(&count), "{percentiles}");
}

#[test]
fn rounds_leave_a_folder_behind_too() {
    let out = Out::new("rounds");
    let output = perf(&[
        "run",
        "raw-memory-loop",
        "--rounds",
        "1",
        "--messages",
        "51200",
        "--json",
        "--out",
        out.path(),
    ]);
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let folder = out.only();
    assert_eq!(json(&folder.join("run.json")), result);
    assert!(json(&folder.join("env.json"))["versions"]["rustc"].is_string());
    assert!(!folder.join("response.hgrm").exists());
}

#[test]
fn a_message_stream_is_measured_where_it_arrives() {
    if !has_two_cpus() {
        return;
    }
    let out = Out::new("stream");
    let output = perf(&[
        "run",
        "tell-cross-core",
        "--rate",
        "1000",
        "--seconds",
        "0.5",
        "--arrivals",
        "burst:10",
        "--json",
        "--out",
        out.path(),
    ]);
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(result["scheduled"], 500, "{result}");
}

#[test]
fn a_curve_leaves_its_points_behind() {
    if !has_two_cpus() {
        return;
    }
    let out = Out::new("curve");
    let output = perf(&[
        "curve",
        "ask-cross-core",
        "--seconds-per-point",
        "0.2",
        "--points",
        "1,2,3",
        "--json",
        "--out",
        out.path(),
    ]);
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(result["capacity_per_second"].as_f64().expect("a number") > 0.0, "{result}");
    assert_eq!(result["points"].as_array().expect("a list").len(), 3, "{result}");
    let folder = out.only();
    let csv = fs::read_to_string(folder.join("curve.csv")).expect("text");
    assert_eq!(csv.lines().count(), 4, "{csv}");
    assert!(fs::read_to_string(folder.join("curve.svg")).expect("text").contains("<svg"));
    assert!(folder.join("report.html").is_file());
}

#[test]
fn what_cannot_be_run_is_one_line_with_a_remedy_and_exit_code_2_and_leaves_nothing_behind() {
    let out = Out::new("refused");
    let file = out.0.join("file");
    fs::write(&file, b"").expect("writable");
    let file = file.to_str().expect("UTF-8");
    let ask = "ask-cross-core";
    let cases: [(&[&str], &str); 10] = [
        (&["run", "raw-system-call", "--rate", "10"], "these can: ask-cross-core"),
        (&["run", ask, "--rate", "0"], "choose 1 to 1000000000"),
        (&["run", ask, "--rate", "1000000001"], "choose 1 to 1000000000"),
        (&["run", ask, "--rate", "10", "--payload", "65537"], "choose at most 65536"),
        (&["run", ask, "--rate", "10", "--seconds", "0"], "choose 0.1 to 86400 s"),
        (&["run", ask, "--rate", "10", "--cores", "4095"], "choose among these"),
        (&["run", ask, "--rate", "10", "--rounds", "3"], "leave --rounds out"),
        (&["run", ask, "--payload", "8"], "give its --rate too"),
        (&["run", "raw-system-call", "--out", file], "with --out"),
        (&["curve", "raw-system-call"], "these can: ask-cross-core"),
    ];
    for (arguments, remedy) in cases {
        let output = program().args(arguments).current_dir(&out.0).output().expect("it starts");
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{arguments:?}: {message}");
        assert!(message.contains(remedy), "{arguments:?}: {message}");
    }
    assert_eq!(out.names(), ["file"]);
}

#[test]
fn ctrl_c_ends_a_load_early_and_keeps_what_was_measured() {
    if !has_two_cpus() {
        return;
    }
    let out = Out::new("ctrl-c");
    let child = program()
        .args(["run", "ask-cross-core", "--rate", "1000", "--seconds", "3600", "--json"])
        .args(["--out", out.path()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    // The folder is made when the signal is already listened for.
    let mut child = Ending(child);
    wait_until(|| out.names().iter().any(|name| name.starts_with(UNFINISHED)));
    let interrupted = Command::new("sh")
        .args(["-c", &format!("kill -INT {}", child.0.id())])
        .status()
        .expect("a shell starts");
    assert!(interrupted.success());
    wait_until(|| child.0.try_wait().expect("it can be asked").is_some());
    let folder = out.only();
    assert!(!folder.to_string_lossy().contains(UNFINISHED), "{folder:?}");
    let result = json(&folder.join("run.json"));
    let reasons = result["reasons"].to_string();
    assert!(reasons.contains("interrupted after"), "{reasons}");
    assert_ne!(result["verdict"], "valid");
}

/// A child that is gone when the test is over.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LONG_ENOUGH, "it does not come to pass");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
