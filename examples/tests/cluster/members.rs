//! Members of etcd as processes, with folders and ports of their own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;
use crate::place::{Place, free_ports};

/// A cluster of etcd. All of it ends with this.
pub struct Members {
    folder: PathBuf,
    addresses: Vec<String>,
    arguments: Vec<Vec<String>>,
    running: Vec<Option<Child>>,
}

impl Members {
    /// So many members, started; none if there is no etcd here, which is said.
    pub fn start(name: &str, count: usize, place: &Place) -> Outcome<Option<Members>> {
        if Command::new("etcd").arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("skipped: no etcd in the path (Debian: apt-get install etcd-server)");
            return Ok(None);
        }
        let folder = crate::folder(&format!("{name}-etcd"));
        let ports = free_ports(2 * count)?;
        let (clients, peers) = ports.split_at(count);
        let host = place.host();
        let url = |port: &u16| format!("http://{host}:{port}");
        let cluster: Vec<String> =
            peers.iter().enumerate().map(|(n, port)| format!("m{n}={}", url(port))).collect();
        let arguments = (0..count).map(|n| {
            let data = folder.join(format!("m{n}")).display().to_string();
            let (client, peer) = (url(&clients[n]), url(&peers[n]));
            let pairs = [
                ("--name", format!("m{n}")),
                ("--data-dir", data),
                ("--listen-client-urls", client.clone()),
                ("--advertise-client-urls", client),
                ("--listen-peer-urls", peer.clone()),
                ("--initial-advertise-peer-urls", peer),
                ("--initial-cluster", cluster.join(",")),
                ("--log-level", "fatal".to_owned()),
            ];
            pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
        });
        let mut members = Members {
            addresses: clients.iter().map(|port| format!("{host}:{port}")).collect(),
            arguments: arguments.collect(),
            running: (0..count).map(|_| None).collect(),
            folder,
        };
        for member in 0..count {
            members.run(member)?;
        }
        members.leader()?;
        Ok(Some(members))
    }

    /// Starts a member, again if it ran before: with what it had.
    pub fn run(&mut self, member: usize) -> Outcome {
        let mut command = Command::new("etcd");
        command.args(&self.arguments[member]).stdout(Stdio::null()).stderr(Stdio::null());
        self.running[member] = Some(command.spawn()?);
        Ok(())
    }

    /// As the program takes them.
    pub fn urls(&self) -> String {
        let urls = self.addresses.iter().map(|address| format!("http://{address}"));
        urls.collect::<Vec<_>>().join(",")
    }

    pub fn kill(&mut self, member: usize) -> Outcome {
        if let Some(mut child) = self.running[member].take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// All members stand still, or go on.
    pub fn signal_all(&self, signal: Signal) -> Outcome {
        for child in self.running.iter().flatten() {
            kill_process(Pid::from_child(child), signal)?;
        }
        Ok(())
    }

    /// The member that leads, as soon as there is one.
    pub fn leader(&self) -> Outcome<usize> {
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            let leads = |member: &usize| {
                self.running[*member].is_some() && leads(&self.addresses[*member]).unwrap_or(false)
            };
            if let Some(member) = (0..self.addresses.len()).find(leads) {
                return Ok(member);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("no member of etcd leads within 30 s".into())
    }
}

/// Whether a member says of itself that it leads.
fn leads(address: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.contains("etcd_server_is_leader 1"))
}

impl Drop for Members {
    fn drop(&mut self) {
        for member in 0..self.running.len() {
            let _ = self.kill(member);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
