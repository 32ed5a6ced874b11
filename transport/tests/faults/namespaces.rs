//! A network that is down for a while, or slow: two network namespaces with a pair of virtual interfaces.

use std::process::Command;

use crate::Outcome;
use crate::process::{Process, Role};

/// Two namespaces, `a` and `b`, with one interface each; they are gone when this is.
struct Network {
    a: String,
    b: String,
}

/// Runs a program; what it complains about.
fn run(program: &str, line: &str) -> Result<(), String> {
    let output = Command::new(program).args(line.split(' ')).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program} {line}: {said}")) }
}

impl Network {
    fn new(name: &str) -> Result<Network, String> {
        let id = std::process::id();
        let network = Network { a: format!("ms-{name}-{id}-a"), b: format!("ms-{name}-{id}-b") };
        let Network { a, b } = &network;
        run("ip", &format!("netns add {a}"))?;
        run("ip", &format!("netns add {b}"))?;
        run("ip", &format!("-n {a} link add link0 type veth peer name link0 netns {b}"))?;
        for (namespace, host) in [(a, 1), (b, 2)] {
            run("ip", &format!("-n {namespace} address add 192.0.2.{host}/24 dev link0"))?;
            run("ip", &format!("-n {namespace} link set lo up"))?;
            run("ip", &format!("-n {namespace} link set link0 up"))?;
        }
        Ok(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.a, &self.b] {
            // It may not have been made.
            let _ = run("ip", &format!("netns del {namespace}"));
        }
    }
}

/// A node in each namespace, linked.
fn pair(network: &Network) -> Outcome<(Process, Process)> {
    let listen = Some("192.0.2.1:7355");
    let role = Role { listen, namespace: Some(&network.a), ..Role::default() };
    let mut listener = Process::start(&role)?;
    listener.ask("address")?;
    let role = Role { connect: listen, namespace: Some(&network.b), ..Role::default() };
    let mut dialler = Process::start(&role)?;
    dialler.ask("linked")?;
    Ok((listener, dialler))
}

#[test]
fn a_link_whose_network_is_down_for_a_while_comes_back() -> Outcome {
    let network = match Network::new("down") {
        Ok(network) => network,
        Err(reason) => {
            println!("skipped: no network namespaces here: {reason}");
            return Ok(());
        }
    };
    let (listener, mut dialler) = pair(&network)?;
    dialler.ask("send 100")?;
    assert_eq!(dialler.numbers("settle")?[1], 0);
    run("ip", &format!("-n {} link set link0 down", network.a))?;
    while !dialler.ask("event")?.contains("Gone") {}
    dialler.ask("send 100")?;
    run("ip", &format!("-n {} link set link0 up", network.a))?;
    dialler.ask("linked")?;
    let account = dialler.numbers("settle")?;
    assert_eq!(account[1], 0, "nothing twice, nothing out of order: {account:?}");
    dialler.end()?;
    listener.end()
}

/// Sends more than a disturbed network takes at once.
fn disturbed(name: &str, discipline: &str) -> Outcome {
    let network = match Network::new(name) {
        Ok(network) => network,
        Err(reason) => {
            println!("skipped: no network namespaces here: {reason}");
            return Ok(());
        }
    };
    for namespace in [&network.a, &network.b] {
        let line = format!("-n {namespace} qdisc add dev link0 root {discipline}");
        if let Err(reason) = run("tc", &line) {
            println!("skipped: the kernel has no such discipline: {reason}");
            return Ok(());
        }
    }
    let (listener, mut dialler) = pair(&network)?;
    for _ in 0..5 {
        dialler.ask("send 200")?;
        let account = dialler.numbers("settle")?;
        assert_eq!(account[1], 0, "nothing twice, nothing out of order: {account:?}");
    }
    dialler.end()?;
    listener.end()
}

#[test]
fn a_link_over_a_network_with_a_limited_rate_keeps_the_order() -> Outcome {
    disturbed("rate", "tbf rate 20mbit burst 64kbit latency 100ms")
}

#[test]
fn a_link_over_a_network_that_loses_and_delays_packets_keeps_the_order() -> Outcome {
    disturbed("loss", "netem delay 5ms 2ms loss 2%")
}
