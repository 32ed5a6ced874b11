//! Two nodes as their users meet them: in one process, and in two that find each other by address.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

const SHORT: [&str; 4] = ["--seconds", "1", "--idle", "eco"];

fn two_nodes(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_two_nodes"));
    command.args(arguments).env("RUST_LOG", "off");
    command
}

fn run(arguments: &[&str]) -> Output {
    two_nodes(arguments).output().expect("the program starts")
}

/// The listening side, which ends with the test.
struct Listening {
    child: Child,
    link: String,
    raw: String,
}

impl Listening {
    fn start(arguments: &[&str]) -> Listening {
        let all = [&["--listen", "127.0.0.1:0", "--raw", "127.0.0.1:0"], &SHORT[..], arguments];
        let started = two_nodes(&all.concat()).stdout(Stdio::piped()).spawn();
        let mut child = started.expect("the program starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("it says where it listens");
        let words: Vec<&str> = line.split_whitespace().collect();
        let link = words[2].trim_end_matches(',').to_string();
        let raw = words.last().expect("an address").to_string();
        Listening { child, link, raw }
    }

    fn connect(&self, arguments: &[&str]) -> Output {
        let to = ["--connect", &self.link, "--raw", &self.raw];
        run(&[&to[..], &SHORT[..], arguments].concat())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn key(name: &str, bytes: &[u8]) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).expect("the folder for tests is there");
    path.display().to_string()
}

#[test]
fn both_nodes_in_one_process_are_set_beside_a_bare_connection() {
    let output = run(&[&SHORT[..], &["--payload", "100"]].concat());
    let (out, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if error.contains("need two CPUs") {
        println!("skipped: this process may use one CPU only");
        return;
    }
    assert!(output.status.success(), "{out}{error}");
    assert_eq!(out.matches("two actors / bare").count(), 2, "{out}");
    assert!(out.contains("a payload of 100 bytes, 192 bytes on the wire"), "{out}");
}

#[test]
fn two_processes_with_the_same_key_measure_and_the_one_that_listens_ends_with_its_visitor() {
    let key = key("two_nodes.key", b"a key for a test, 32 bytes of it");
    let mut listening = Listening::start(&["--once", "--key-file", &key]);
    let output = listening.connect(&["--key-file", &key, "--payload", "100000"]);
    let (out, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{error}");
    assert_eq!(out.matches("two actors / bare").count(), 2, "{out}");
    assert!(listening.child.wait().expect("it was started").success());
}

#[test]
fn a_node_with_another_key_is_told_why_there_is_no_link() {
    let right = key("two_nodes_right.key", b"the right key, and it is 32 long");
    let wrong = key("two_nodes_wrong.key", b"the wrong key, and it is 32 long");
    let listening = Listening::start(&["--key-file", &right]);
    let output = listening.connect(&["--key-file", &wrong]);
    assert_eq!(output.status.code(), Some(3));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("with the same key?"), "{error}");
}

#[test]
fn nobody_there_and_a_bad_command_line_are_told_apart() {
    let output = run(&["--connect", "127.0.0.1:1", "--raw", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(3));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("cannot speak with 127.0.0.1:1"), "{error}");
    assert_eq!(run(&["--payload", "99999999"]).status.code(), Some(2));
    assert_eq!(run(&["--connect", "127.0.0.1:65535"]).status.code(), Some(2));
}
