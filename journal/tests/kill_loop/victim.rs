//! The process that is killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Names the journal that a process is to write, in the victim's environment.
const WRITES: &str = "MAINSPRING_JOURNAL_TEST_WRITES";
const LONGEST_US: u64 = 60_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// The journal that this process is to write, when it is a victim.
pub fn role() -> Option<PathBuf> {
    std::env::var_os(WRITES).map(PathBuf::from)
}

/// Says that an entity's events are durable up to a number: one write, with a mark at its end by which half a line is
/// known.
pub fn acknowledge(entity: u64, number: u64) {
    let line = format!("ack {entity} {number}.\n");
    std::io::stdout().write_all(line.as_bytes()).expect("the parent reads");
}

/// When a victim is killed.
#[derive(Clone, Copy)]
pub enum Moment {
    /// So long after its start: while it opens the journal.
    AfterStart(Duration),
    /// So long after its first acknowledgement: while it writes.
    AfterFirst(Duration),
}

impl Moment {
    pub fn drawn(random: &mut fastrand::Rng) -> Moment {
        let after = Duration::from_micros(random.u64(0..LONGEST_US));
        if random.u8(0..4) == 0 { Moment::AfterStart(after) } else { Moment::AfterFirst(after) }
    }
}

/// Starts a victim and kills it. What it acknowledged: the last number of each entity.
pub fn live_and_die(test: &str, path: &Path, moment: Moment) -> BTreeMap<u64, u64> {
    let this = std::env::current_exe().expect("we run");
    let mut child = Command::new(this)
        .args(["--exact", test, "--nocapture"])
        .env(WRITES, path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let said = BufReader::new(child.stdout.take().expect("piped")).lines();
    let (tell, told) = mpsc::channel();
    let listener = std::thread::spawn(move || {
        let mut acknowledged = BTreeMap::new();
        for (entity, number) in said.map_while(Result::ok).filter_map(|line| parsed(&line)) {
            if acknowledged.is_empty() {
                let _ = tell.send(());
            }
            acknowledged.insert(entity, number);
        }
        acknowledged
    });
    // Not to let something happen: the moment of the kill is the input of this test.
    match moment {
        Moment::AfterStart(after) => std::thread::sleep(after),
        Moment::AfterFirst(after) => {
            // An error says that the victim has ended by itself, which is seen below.
            let _ = told.recv_timeout(PATIENCE);
            std::thread::sleep(after);
        }
    }
    end(child);
    listener.join().expect("it reads to the end")
}

/// Entity and number of an acknowledgement; nothing when the line is another one, or cut off.
fn parsed(line: &str) -> Option<(u64, u64)> {
    let (entity, number) = line.rsplit_once("ack ")?.1.strip_suffix('.')?.split_once(' ')?;
    Some((entity.parse().ok()?, number.parse().ok()?))
}

fn end(mut child: Child) {
    child.kill().expect("it is ours");
    let status = child.wait().expect("it ends");
    assert!(status.code().is_none_or(|code| code == 0), "the victim failed: {status}");
}

pub struct Folder(pub PathBuf);

impl Folder {
    pub fn of_journal(test: &str, number: u64) -> Folder {
        let name = format!("mainspring-{test}-{}-{number}", std::process::id());
        Folder(std::env::temp_dir().join(name))
    }

    pub fn clear(&self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
