//! Nodes in processes of their own: memory is the whole process's, and so is a signal that stops it.
//!
//! A child is this program again, with its settings in the environment. It reads a command a line and answers with a
//! line that begins with [`ANSWER`]; it ends when nobody writes to it any more.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use mainspring::prelude::*;
use mainspring_transport::handshake::{Key, RefusalReason};
use mainspring_transport::{Links, Transport};
use rustix::process::{Pid, Signal, kill_process};

use crate::ledger::{Ledger, Note, Sender};
use crate::scene::start;
use crate::{Outcome, PATIENCE};

const ANSWER: &str = "node: ";
const LISTEN: &str = "MAINSPRING_TEST_LISTEN";
const CONNECT: &str = "MAINSPRING_TEST_CONNECT";
const GREETINGS: &str = "MAINSPRING_TEST_GREETINGS";

/// The name of the ledger of a child that listens.
pub const LEDGER: &str = "ledger";

/// What may wait for a peer in a child, in bytes.
pub const OUTBOX_BYTES: usize = 1 << 20;

/// Both nodes of a namespace test hold it; others need none.
const KEY: &[u8] = b"a key of processes, of thirty-two";

/// Bytes of a note of a child.
const FILLER_BYTES: usize = 4_000;

/// What a child is.
#[derive(Default)]
pub struct Role<'a> {
    pub listen: Option<&'a str>,
    pub connect: Option<&'a str>,
    pub greetings: Option<usize>,
    /// The network namespace that it runs in.
    pub namespace: Option<&'a str>,
}

/// A node in a process of its own.
pub struct Process {
    child: Child,
    commands: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub fn start(role: &Role<'_>) -> Outcome<Process> {
        let this = std::env::current_exe()?;
        let mut command = match role.namespace {
            None => Command::new(this),
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(this);
                command
            }
        };
        let test = "process::the_main_function_of_a_node_in_a_process_of_its_own";
        command.args(["--exact", test, "--nocapture"]);
        let settings = [(LISTEN, role.listen), (CONNECT, role.connect)];
        for (name, value) in settings {
            command.env(name, value.unwrap_or_default());
        }
        command.env(GREETINGS, role.greetings.map(|limit| limit.to_string()).unwrap_or_default());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
        Ok(Process { child, commands, answers })
    }

    /// Says something and waits for the answer.
    pub fn ask(&mut self, command: &str) -> Outcome<String> {
        writeln!(self.commands.as_ref().ok_or("it has ended")?, "{command}")?;
        for line in self.answers.by_ref() {
            if let Some((_, answer)) = line?.split_once(ANSWER) {
                return Ok(answer.to_owned());
            }
        }
        Err(format!("the process ended instead of an answer to {command:?}").into())
    }

    /// The numbers in an answer.
    pub fn numbers(&mut self, command: &str) -> Outcome<Vec<u64>> {
        let answer = self.ask(command)?;
        let numbers: Result<Vec<u64>, _> = answer.split(' ').map(str::parse).collect();
        Ok(numbers.map_err(|_| format!("{command}: {answer}"))?)
    }

    /// Memory of the process that is there, in bytes.
    pub fn resident_bytes(&self) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kibibytes.ok_or("no VmRSS")?.parse::<u64>()? * 1024)
    }

    /// Stops the whole process, or lets it go on.
    pub fn signal(&self, signal: Signal) -> Outcome {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).ok_or("a number")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Ends the process in order.
    pub fn end(mut self) -> Outcome {
        drop(self.commands.take());
        let ended = self.child.wait()?;
        assert!(ended.success(), "{ended}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_main_function_of_a_node_in_a_process_of_its_own() -> Outcome {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (listen, connect) = (set(LISTEN), set(CONNECT));
    if listen.is_none() && connect.is_none() {
        println!("skipped: this is the beginning of processes that other tests start");
        return Ok(());
    }
    let mut transport = Transport::new()
        .outbox_bytes(OUTBOX_BYTES)
        .window_bytes(256 << 10)
        .slow_peers(256 << 10, Duration::from_millis(500))
        .heartbeats(Duration::from_millis(200), Duration::from_secs(4));
    let is_abroad = |address: &String| !address.starts_with("127.");
    if listen.iter().chain(&connect).any(is_abroad) {
        transport = transport.key(Key::from_file_bytes(KEY)?);
    }
    if let Some(address) = &listen {
        transport = transport.listen(address)?;
    }
    if let Some(address) = &connect {
        transport = transport.connect(address)?;
    }
    if let Some(limit) = set(GREETINGS) {
        transport = transport.greetings(limit.parse()?);
    }
    let (node, links) = start("process", transport)?;
    node.actor(Ledger::default).named(LEDGER).start()?;
    let mut sender = None;
    for line in std::io::stdin().lines() {
        let answer = obey(&line?, &node, &links, &mut sender)?;
        println!("{ANSWER}{answer}");
    }
    node.shutdown(PATIENCE)?;
    Ok(())
}

/// Does what a line says; the answer.
fn obey(line: &str, node: &Node, links: &Links, sender: &mut Option<Sender>) -> Outcome<String> {
    let (command, number) = line.split_once(' ').unwrap_or((line, "0"));
    Ok(match command {
        "address" => links.wait_listening(PATIENCE).ok_or("it does not listen")?.to_string(),
        "figures" => {
            let figures = links.figures();
            let late = figures.refused(RefusalReason::TooSlow);
            format!("{} {late} {}", figures.accepted, figures.disconnections)
        }
        "linked" => {
            let nodes = links.wait_for_nodes(1, PATIENCE).ok_or("no node is linked")?;
            if sender.is_none() {
                let to = ledger_of(node, nodes[0].incarnation)?;
                *sender = Some(Sender::new(node.client(), to, 1, FILLER_BYTES));
            }
            "linked".to_owned()
        }
        "event" => {
            let event = links.wait_event(PATIENCE).ok_or("nothing happens")?;
            format!("{event:?}")
        }
        "send" => {
            let sender = sender.as_mut().ok_or("not linked")?;
            let notes: usize = number.parse()?;
            // The core takes all of them; what finds no room on its way out is a dead letter there.
            while sender.taken() < notes as u64 {
                if !sender.send(1) {
                    std::thread::yield_now();
                }
            }
            sender.forget_taken().to_string()
        }
        "settle" => {
            let account = sender.as_mut().ok_or("not linked")?.settle()?;
            format!("{} {}", account.count, account.wrong)
        }
        _ => format!("what is {line:?}?"),
    })
}

/// The ledger of another node, which has it under its name.
pub fn ledger_of(node: &Node, incarnation: u32) -> Outcome<ActorRef<Note>> {
    let found = node.client().lookup_on(incarnation, LEDGER, PATIENCE).wait()?;
    Ok(found.actor::<Note>()?)
}
