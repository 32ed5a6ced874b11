//! More connections than anybody needs: bounded memory, and all gone after the deadline of the handshake.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mainspring_transport::Transport;
use mainspring_transport::handshake::{Keys, RefusalReason};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::ledger::Sender;
use crate::log::Mark;
use crate::process::{Process, Role, ledger_of};
use crate::scene::{Bystander, Scene, start};
use crate::stranger::{CONTROL, Greeted, Stranger, hello_of, somebody};
use crate::{Outcome, PATIENCE};

/// Connections of nobody, if there are so many descriptors.
const CROWD: u64 = 10_000;

/// Descriptors for everything else in this process.
const SPARE_DESCRIPTORS: u64 = 1_000;

/// What one connection that says nothing may cost its node.
const IDLE_LIMIT_BYTES: u64 = 8 << 10;

/// How many connections fit.
fn crowd() -> Outcome<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = CROWD + SPARE_DESCRIPTORS;
    if limit.current.is_some_and(|current| current < wanted) {
        let current = limit.maximum.map(|maximum| maximum.min(wanted)).or(Some(wanted));
        setrlimit(Resource::Nofile, Rlimit { current, ..limit })?;
    }
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(wanted);
    Ok(descriptors.saturating_sub(SPARE_DESCRIPTORS).min(CROWD))
}

/// Connects so many; every other one begins a hello.
fn connect(to: SocketAddr, count: u64, hello: &[u8]) -> Outcome<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for number in 0..count {
        let mut stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        if number % 2 == 0 {
            stream.write_all(&hello[..40])?;
        }
        streams.push(stream);
    }
    Ok(streams)
}

/// Waits until the node has ended all of them.
fn wait_ends(streams: Vec<TcpStream>) -> Outcome {
    for mut stream in streams {
        let mut heard = Vec::new();
        match stream.read_to_end(&mut heard) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[test]
fn ten_thousand_connections_that_say_nothing_cost_little_and_are_gone_after_the_deadline() -> Outcome
{
    let count = crowd()?;
    let greetings = Some(CROWD as usize);
    let role = Role { listen: Some("127.0.0.1:0"), greetings, ..Role::default() };
    let mut node = Process::start(&role)?;
    let address = node.ask("address")?;
    let (finder, links) = start("finder", Transport::new().connect(&address)?)?;
    let nodes = links.wait_for_nodes(1, PATIENCE).ok_or("not linked")?;
    let ledger = ledger_of(&finder, nodes[0].incarnation)?;
    let address: SocketAddr = address.parse()?;
    let bystander = Bystander::new("quiet", Transport::new(), address, ledger)?;

    let (_, hello) = hello_of(somebody("nobody", 1), Keys::NONE)?;
    let mut costs_bytes = Vec::new();
    for wave in 1..=2 {
        let before_bytes = node.resident_bytes()?;
        let before = node.numbers("figures")?;
        let begun = Instant::now();
        let streams = connect(address, count, &hello)?;
        while node.numbers("figures")?[0] < before[0] + count {
            assert!(begun.elapsed() < PATIENCE, "not all are accepted");
        }
        let cost_bytes = node.resident_bytes()?.saturating_sub(before_bytes);
        let standing = count - (node.numbers("figures")?[1] - before[1]);
        wait_ends(streams)?;
        let took = begun.elapsed();
        while node.numbers("figures")?[1] < before[1] + count {
            assert!(begun.elapsed() < PATIENCE, "not all are late");
        }
        println!(
            "wave {wave}: {count} connections, {standing} of them at once, {} bytes each; gone after {took:?}",
            cost_bytes / count
        );
        costs_bytes.push(cost_bytes);
    }
    assert!(costs_bytes[0] < count * IDLE_LIMIT_BYTES, "{costs_bytes:?}");
    assert!(costs_bytes[1] < count * IDLE_LIMIT_BYTES / 4, "what was used is used again");
    bystander.end()?;
    finder.shutdown(PATIENCE)?;
    node.end()
}

#[test]
fn beyond_the_limit_of_handshakes_a_connection_is_told_so_and_others_come_in_later() -> Outcome {
    let limit = 64;
    let scene = Scene::new("crowded", Transport::new().greetings(limit))?;
    let (_, hello) = hello_of(somebody("nobody", 1), Keys::NONE)?;
    let crowd = connect(scene.address, limit as u64, &hello)?;
    scene.wait_figures(|figures| figures.accepted >= 2 + limit as u64);
    let mut late = Stranger::new(scene.address)?;
    let greeted = late.greet(somebody("late", 2), CONTROL, Keys::NONE)?;
    let reason = RefusalReason::TooManyConnections;
    assert!(
        matches!(greeted, Greeted::Refused(found) if found == reason)
            || matches!(greeted, Greeted::Closed),
        "{greeted:?}"
    );
    let figures = scene.links.figures();
    assert_eq!((figures.turned_away, figures.refused(reason)), (1, 1));
    late.line_with(&["as many connections as the limit allows"]);
    drop(crowd);
    scene.wait_figures(|figures| figures.left == limit as u64);
    let (node, links) = start("later", Transport::new().connect(&scene.address.to_string())?)?;
    links.wait_for_nodes(1, PATIENCE).ok_or("there is room again")?;
    node.shutdown(PATIENCE)?;
    scene.end()
}

#[test]
fn a_hello_that_comes_a_byte_at_a_time_runs_into_the_deadline() -> Outcome {
    let scene = Scene::new("patient-listener", Transport::new())?;
    let (_, hello) = hello_of(somebody("slow-loris", 1), Keys::NONE)?;
    let since = Mark::now();
    let mut stream = TcpStream::connect(scene.address)?;
    let address = stream.local_addr()?;
    let begun = Instant::now();
    // Reading is the pause between two bytes, and sees the end.
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let (mut heard, mut at) = (Vec::new(), 0);
    loop {
        if stream.write_all(&hello[at..=at]).is_err() {
            break;
        }
        at += 1;
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(more) => heard.extend_from_slice(&buffer[..more]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        assert!(begun.elapsed() < PATIENCE, "it goes on and on");
    }
    assert!(begun.elapsed() > Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(at < hello.len(), "all {at} bytes were taken");
    scene.wait_figures(|figures| figures.refused(RefusalReason::TooSlow) == 1);
    let line = since.line_with(&[&format!("peer={address} ")]);
    assert!(line.contains("its hello did not come within 5 seconds"), "{line}");
    let (node, links) = start("brisk", Transport::new().connect(&scene.address.to_string())?)?;
    links.wait_for_nodes(1, PATIENCE).ok_or("others are let in")?;
    Sender::new(node.client(), scene.ledger, 1, 0).settle()?;
    node.shutdown(PATIENCE)?;
    scene.end()
}
