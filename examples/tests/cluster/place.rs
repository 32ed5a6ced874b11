//! Where the processes of a test run: on loopback, or each in a network namespace of its own, whose links can be cut.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use crate::Outcome;

/// Nodes that a place has room for.
const NODES: usize = 5;

static NAMESPACES: AtomicU8 = AtomicU8::new(0);

/// See the module's header.
pub enum Place {
    Loopback,
    Namespaces(Namespaces),
}

/// Namespaces on one bridge. They go with this.
pub struct Namespaces {
    /// In the names of its links, and in its addresses.
    number: u16,
}

impl Place {
    /// Namespaces, if this machine lets them be made; if not, why not is said.
    pub fn namespaces() -> Outcome<Option<Place>> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: network namespaces need root");
            return Ok(None);
        }
        for tool in ["ip", "nft"] {
            if Command::new(tool).arg("-V").stdout(Stdio::null()).status().is_err() {
                eprintln!("skipped: no {tool} (Debian: apt-get install iproute2 nftables)");
                return Ok(None);
            }
        }
        let count = u16::from(NAMESPACES.fetch_add(1, Ordering::Relaxed));
        let number = (std::process::id() as u16).wrapping_add(count) % 250;
        let namespaces = Namespaces { number };
        namespaces.make()?;
        Ok(Some(Place::Namespaces(namespaces)))
    }

    /// The address of what is not on a node.
    pub fn host(&self) -> String {
        match self {
            Place::Loopback => "127.0.0.1".to_owned(),
            Place::Namespaces(namespaces) => namespaces.address("254"),
        }
    }

    /// The address of a node.
    pub fn address(&self, node: usize) -> String {
        match self {
            Place::Loopback => "127.0.0.1".to_owned(),
            Place::Namespaces(namespaces) => namespaces.address(&(node + 1).to_string()),
        }
    }

    /// A program on a node.
    pub fn command(&self, node: usize, program: &str) -> Command {
        match self {
            Place::Loopback => Command::new(program),
            Place::Namespaces(namespaces) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &namespaces.name(node), program]);
                command
            }
        }
    }

    /// Nothing goes from a node to those addresses, or comes from there, until it is healed.
    pub fn cut(&self, node: usize, from: &[String]) -> Outcome {
        let Place::Namespaces(namespaces) = self else { return Err("nothing to cut".into()) };
        let name = namespaces.name(node);
        let nft = |rule: &str| run(&format!("ip netns exec {name} nft {rule}"));
        nft("add table inet cut")?;
        nft("add chain inet cut out { type filter hook output priority 0 ; }")?;
        nft("add chain inet cut in { type filter hook input priority 0 ; }")?;
        for address in from {
            nft(&format!("add rule inet cut out ip daddr {address} drop"))?;
            nft(&format!("add rule inet cut in ip saddr {address} drop"))?;
        }
        Ok(())
    }

    /// What was cut is whole again.
    pub fn heal(&self, node: usize) -> Outcome {
        let Place::Namespaces(namespaces) = self else { return Ok(()) };
        run(&format!("ip netns exec {} nft delete table inet cut", namespaces.name(node)))
    }
}

impl Namespaces {
    fn bridge(&self) -> String {
        format!("msb{}", self.number)
    }

    fn name(&self, node: usize) -> String {
        format!("ms{}n{node}", self.number)
    }

    fn address(&self, last: &str) -> String {
        format!("10.77.{}.{last}", self.number)
    }

    fn make(&self) -> Outcome {
        let bridge = self.bridge();
        run(&format!("ip link add {bridge} type bridge"))?;
        run(&format!("ip addr add {}/24 dev {bridge}", self.address("254")))?;
        run(&format!("ip link set {bridge} up"))?;
        for node in 0..NODES {
            let (name, address) = (self.name(node), self.address(&(node + 1).to_string()));
            run(&format!("ip netns add {name}"))?;
            run(&format!("ip link add v{name} type veth peer name eth0 netns {name}"))?;
            run(&format!("ip link set v{name} master {bridge} up"))?;
            run(&format!("ip -n {name} addr add {address}/24 dev eth0"))?;
            run(&format!("ip -n {name} link set lo up"))?;
            run(&format!("ip -n {name} link set eth0 up"))?;
        }
        Ok(())
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for node in 0..NODES {
            let _ = run(&format!("ip netns del {}", self.name(node)));
        }
        let _ = run(&format!("ip link del {}", self.bridge()));
    }
}

/// Runs a line of words.
fn run(line: &str) -> Outcome {
    let mut words = line.split_whitespace();
    let program = words.next().ok_or("no program")?;
    let output = Command::new(program).args(words).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// Ports that nobody has at the moment.
pub fn free_ports(count: usize) -> Outcome<Vec<u16>> {
    let taken: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    taken.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
