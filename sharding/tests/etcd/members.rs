//! Members of etcd as processes, with folders and ports of their own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mainspring_sharding::etcd::Etcd;
use rustix::process::{Pid, Signal, kill_process};

static CLUSTERS: AtomicU32 = AtomicU32::new(0);

/// A cluster of etcd. All of it ends with this.
pub struct Members {
    folder: PathBuf,
    addresses: Vec<String>,
    arguments: Vec<Vec<String>>,
    running: Vec<Option<Child>>,
}

impl Members {
    /// So many members, started; none if there is no etcd here, which is printed.
    pub fn start(count: usize) -> Option<Members> {
        if Command::new("etcd").arg("--version").stdout(Stdio::null()).status().is_err() {
            println!("skipped: no etcd in the path (Debian: apt-get install etcd-server)");
            return None;
        }
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("mainspring-etcd-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let ports = free_ports(2 * count);
        let (clients, peers) = ports.split_at(count);
        let url = |port: &u16| format!("http://127.0.0.1:{port}");
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
            addresses: clients.iter().map(|port| format!("127.0.0.1:{port}")).collect(),
            arguments: arguments.collect(),
            running: (0..count).map(|_| None).collect(),
            folder,
        };
        (0..count).for_each(|member| members.run(member));
        Some(members)
    }

    /// Starts a member, again if it ran before: with what it had.
    pub fn run(&mut self, member: usize) {
        let mut command = Command::new("etcd");
        command.args(&self.arguments[member]).stdout(Stdio::null()).stderr(Stdio::null());
        self.running[member] = Some(command.spawn().expect("etcd can be started"));
    }

    /// The settings of a node that knows these members.
    pub fn known_to(&self, members: &[usize]) -> Etcd {
        Etcd::at(members.iter().map(|&member| self.addresses[member].clone())).prefix("test")
    }

    pub fn all(&self) -> Etcd {
        self.known_to(&(0..self.addresses.len()).collect::<Vec<_>>())
    }

    pub fn kill(&mut self, member: usize) {
        if let Some(mut child) = self.running[member].take() {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }

    pub fn stop(&self, member: usize) {
        self.signal(member, Signal::STOP);
    }

    pub fn go_on(&self, member: usize) {
        self.signal(member, Signal::CONT);
    }

    fn signal(&self, member: usize, signal: Signal) {
        let child = self.running[member].as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("it can be signalled");
    }

    /// The member that leads, as soon as there is one.
    pub fn leader(&self) -> usize {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            let found = (0..self.addresses.len()).find(|&member| {
                let client = Client::of(&self.addresses[member]);
                self.running[member].is_some()
                    && client.and_then(|mut client| client.leads()) == Some(true)
            });
            if let Some(member) = found {
                return member;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no leader within 20 s");
    }

    pub fn client(&self, member: usize) -> Client {
        Client::of(&self.addresses[member]).expect("the member answers")
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        (0..self.running.len()).for_each(|member| self.kill(member));
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What an operator does, who is no node.
pub struct Client {
    runtime: tokio::runtime::Runtime,
    client: etcd_client::Client,
}

impl Client {
    fn of(address: &str) -> Option<Client> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        let client = runtime.block_on(etcd_client::Client::connect([address], None)).ok()?;
        Some(Client { runtime, client })
    }

    /// Runs one call; it may take 2 s.
    pub fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut etcd_client::Client) -> Result<T, etcd_client::Error>,
    ) -> Option<T> {
        let Client { runtime, client } = self;
        runtime.block_on(async {
            let answer = tokio::time::timeout(Duration::from_secs(2), call(client)).await;
            answer.ok().and_then(Result::ok)
        })
    }

    fn leads(&mut self) -> Option<bool> {
        let status = self.call(async |client| client.status().await)?;
        Some(
            status.leader() != 0
                && Some(status.leader()) == status.header().map(|it| it.member_id()),
        )
    }
}

/// Ports that nobody has at the moment.
fn free_ports(count: usize) -> Vec<u16> {
    let taken: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    taken.iter().map(|listener| listener.local_addr().expect("bound").port()).collect()
}
