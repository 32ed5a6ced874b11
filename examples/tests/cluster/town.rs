//! Processes of the program, with one etcd, and what an operator does to them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use redis::Connection;
use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;
use crate::members::Members;
use crate::place::{Place, free_ports};

/// How long anything may take that happens at all.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Shards of the program.
const SHARDS: u64 = 1_024;
/// How long a map of shards has to be the same.
const CALM: Duration = Duration::from_secs(3);

/// See the module's header.
pub struct Town {
    pub place: Place,
    pub etcd: Members,
    folder: PathBuf,
    links: Vec<u16>,
    processes: Vec<Option<Process>>,
}

struct Process {
    child: Child,
    address: String,
    _stdout: BufReader<ChildStdout>,
}

/// What a process says of itself and its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub status: String,
    /// Members, and whether each is up and reached.
    pub members: BTreeMap<String, bool>,
    pub shards: u64,
}

impl Town {
    /// So many processes that are one cluster; none if something is missing here, which was said.
    pub fn start(
        name: &str,
        nodes: usize,
        etcd: usize,
        place: Option<Place>,
    ) -> Outcome<Option<Town>> {
        let Some(place) = place else { return Ok(None) };
        let Some(etcd) = Members::start(name, etcd, &place)? else { return Ok(None) };
        let folder = crate::folder(name);
        std::fs::create_dir_all(&folder)?;
        let key = std::fs::File::create(folder.join("key"))?;
        use std::io::Write;
        use std::os::unix::fs::PermissionsExt;
        key.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        writeln!(&key, "{}", "5a".repeat(32))?;
        let links = free_ports(nodes)?;
        let processes = (0..nodes).map(|_| None).collect();
        let mut town = Town { place, etcd, folder, links, processes };
        for node in 0..nodes {
            town.run(node)?;
        }
        town.settle()?;
        Ok(Some(town))
    }

    /// The processes that run.
    pub fn running(&self) -> Vec<usize> {
        (0..self.processes.len()).filter(|node| self.processes[*node].is_some()).collect()
    }

    /// Where clients find a process.
    pub fn address(&self, node: usize) -> String {
        let process = self.processes[node].as_ref();
        process.map(|process| process.address.clone()).unwrap_or_default()
    }

    /// Where all processes are found that run.
    pub fn addresses(&self) -> Vec<String> {
        self.running().into_iter().map(|node| self.address(node)).collect()
    }

    fn links(&self, node: usize) -> String {
        format!("{}:{}", self.place.address(node), self.links[node])
    }

    /// Starts a process, at the address that it had if it ran before.
    pub fn run(&mut self, node: usize) -> Outcome {
        let seeds: Vec<String> = (0..self.links.len()).map(|seed| self.links(seed)).collect();
        let listen = format!("{}:0", self.place.address(node));
        let log = self.folder.join(format!("node{node}.log"));
        let errors = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = self
            .place
            .command(node, env!("CARGO_BIN_EXE_sessions"))
            .args(["--cluster", "--cores", "n:1", "--idle", "eco", "--lease", "5"])
            .args(["--listen", &listen, "--listen-links", &self.links(node)])
            .args(["--seeds", &seeds.join(","), "--etcd", &self.etcd.urls()])
            .arg("--key-file")
            .arg(self.folder.join("key"))
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("it has no stdout")?;
        let (mut line, mut stdout) = (String::new(), BufReader::new(stdout));
        stdout.read_line(&mut line)?;
        let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        if !address.contains(':') {
            let status = child.wait()?;
            return Err(format!("process {node} said {line:?} and ended with {status}").into());
        }
        self.processes[node] = Some(Process { child, address, _stdout: stdout });
        Ok(())
    }

    pub fn signal(&self, node: usize, signal: Signal) -> Outcome {
        let process = self.processes[node].as_ref().ok_or("it runs")?;
        Ok(kill_process(Pid::from_child(&process.child), signal)?)
    }

    /// Waits until a process has ended. Its exit code; none if a signal ended it.
    pub fn ended(&mut self, node: usize) -> Outcome<Option<i32>> {
        let end = Instant::now() + PATIENCE;
        let mut process = self.processes[node].take().ok_or("it runs")?;
        while Instant::now() < end {
            if let Some(status) = process.child.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        process.child.kill()?;
        process.child.wait()?;
        Err(format!("process {node} did not end; {}", self.said()).into())
    }

    /// Ends a process with SIGKILL.
    pub fn kill(&mut self, node: usize) -> Outcome {
        self.signal(node, Signal::KILL)?;
        self.ended(node).map(drop)
    }

    /// Waits until all that run are one cluster that has all shards, fairly shared, and nothing moves any more.
    pub fn settle(&self) -> Outcome {
        self.settled(self.running())
    }

    /// As [`settle`](Self::settle), for all but one, which they have given up.
    pub fn settle_without(&self, out: usize) -> Outcome {
        let others = self.running().into_iter().filter(|node| *node != out);
        self.settled(others.collect())
    }

    fn settled(&self, running: Vec<usize>) -> Outcome {
        let wanted: BTreeMap<String, bool> =
            running.iter().map(|node| (self.links(*node), true)).collect();
        let share = SHARDS / running.len() as u64;
        let is_whole = |seen: &[Seen]| {
            let sum: u64 = seen.iter().map(|seen| seen.shards).sum();
            let is_fair = |seen: &Seen| seen.members == wanted && seen.shards.abs_diff(share) <= 2;
            sum == SHARDS && seen.iter().all(is_fair)
        };
        let end = Instant::now() + PATIENCE;
        let (mut before, mut since) = (Vec::new(), Instant::now());
        loop {
            let now: Vec<Seen> = running.iter().filter_map(|node| self.look(*node).ok()).collect();
            if now != before || now.len() < running.len() || !is_whole(&now) {
                (before, since) = (now, Instant::now());
            } else if since.elapsed() > CALM {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(
                    format!("the cluster does not settle: {before:#?}; {}", self.said()).into()
                );
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What the processes have said of trouble.
    pub fn said(&self) -> String {
        let read =
            |node: usize| std::fs::read_to_string(self.folder.join(format!("node{node}.log")));
        let all = (0..self.links.len()).filter_map(|node| Some((node, read(node).ok()?)));
        all.map(|(node, text)| format!("process {node} has said:\n{text}")).collect()
    }

    /// How a process sees its cluster.
    pub fn look(&self, node: usize) -> Outcome<Seen> {
        let mut connection = connect(&self.address(node), Duration::from_secs(2))?;
        let text: String = redis::cmd("INFO").arg("cluster").query(&mut connection)?;
        let mut seen = Seen { status: String::new(), members: BTreeMap::new(), shards: 0 };
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let field = |wanted: &str| {
                value.split(',').find_map(|pair| pair.strip_prefix(wanted)?.strip_prefix('='))
            };
            if name == "cluster_status" {
                seen.status = value.to_owned();
            } else if name.starts_with("member") {
                let address = field("address").ok_or("a member without address")?;
                let is_up = field("status") == Some("up") && field("reachable") == Some("yes");
                seen.members.insert(address.to_owned(), is_up);
            } else if name.starts_with("core") {
                seen.shards += field("shards").ok_or("a core without shards")?.parse::<u64>()?;
            }
        }
        Ok(seen)
    }
}

/// A client of a process, for which an answer may take so long.
pub fn connect(address: &str, patience: Duration) -> redis::RedisResult<Connection> {
    let client = redis::Client::open(format!("redis://{address}/"))?;
    let connection = client.get_connection_with_timeout(patience)?;
    connection.set_read_timeout(Some(patience))?;
    connection.set_write_timeout(Some(patience))?;
    Ok(connection)
}

impl Drop for Town {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        match std::thread::panicking() {
            // What the processes have said may tell why.
            true => eprintln!("{}", self.said()),
            false => drop(std::fs::remove_dir_all(&self.folder)),
        }
    }
}
