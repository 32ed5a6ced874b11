//! A cluster over real sockets on loopback: its status server, and the command that asks it.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use mainspring::prelude::*;
use mainspring_sharding::cluster::{Cluster, ClusterHandle};
use mainspring_sharding::membership::StopReason;
use mainspring_sharding::status::{CONNECTIONS_LIMIT, StatusError, StatusServer};
use mainspring_sharding::{EntityType, Sharding};
use mainspring_transport::Transport;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "a-token-of-this-test";

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A file that is gone with its value.
struct TokenFile(PathBuf);

impl TokenFile {
    fn with(name: &str, text: &str) -> Outcome<TokenFile> {
        let name = format!("mainspring-{name}-{}.token", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text)?;
        Ok(TokenFile(path))
    }

    fn text(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A port that nobody listens on at this moment.
fn free_address() -> Outcome<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// A cluster of one node, and the address of its status server, which comes and goes with the node.
fn alone(token: &TokenFile) -> Outcome<(Node, ClusterHandle, String)> {
    let (address, status_address) = (free_address()?, free_address()?);
    let transport = Transport::new().listen(&address)?;
    let cluster = Cluster::new(transport.links()).seeds([&address])?.role("carts");
    let handle = cluster.handle();
    let status = StatusServer::new(handle.clone()).listen(&status_address)?.token_file(&token.0)?;
    let builder = Node::builder().name("alone").cores(Cores::count(1)).idle(IdleProfile::Eco);
    let node = builder.with(transport).with(cluster).with(status).start()?;
    Ok((node, handle, status_address))
}

/// Something is put into a cart.
#[message]
#[derive(Debug)]
pub struct Put;

struct Cart;

impl Actor for Cart {
    type Message = Put;

    fn receive(&mut self, _: &mut Context<'_, Self>, _: &Archived<Put>) -> Next<Self> {
        Next::Same
    }
}

/// A node with carts in a cluster that begins at this address, and where its status server listens.
fn with_carts(address: &str, seed: &str, token: &TokenFile) -> Outcome<(Node, String)> {
    let transport = Transport::new().listen(address)?;
    let cluster = Cluster::new(transport.links())
        .seeds([seed])?
        .heartbeats(Duration::from_millis(200), Duration::from_secs(10));
    let sharding = Sharding::new().in_cluster_without_store();
    sharding.entities(EntityType::new("cart").shards(8), |_| Cart)?;
    let at = free_address()?;
    let status = StatusServer::new(cluster.handle()).listen(&at)?.token_file(&token.0)?;
    let status = status.entities(sharding.clone());
    let builder = Node::builder().name("carts").cores(Cores::count(1)).idle(IdleProfile::Eco);
    let node = builder.with(transport).with(cluster).with(sharding).with(status).start()?;
    Ok((node, at))
}

/// Asks by the command again and again until what it says is as wanted.
fn ask_until(arguments: &[&str], wanted: impl Fn(i32, &str) -> bool) -> Outcome<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let (code, out, errors) = command(arguments)?;
        if wanted(code, &out) {
            return Ok(out);
        }
        if Instant::now() > end {
            return Err(format!("{arguments:?} still says {out}{errors}").into());
        }
    }
}

/// What is answered to these bytes.
fn exchange(at: impl ToString, bytes: &[u8]) -> Outcome<String> {
    let mut socket = TcpStream::connect(at.to_string())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(bytes)?;
    answer(&mut socket)
}

fn answer(socket: &mut TcpStream) -> Outcome<String> {
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A command line, run in a process of its own: its exit code, what it says, and its errors.
fn command(arguments: &[&str]) -> Outcome<(i32, String, String)> {
    let program = env!("CARGO_BIN_EXE_mainspring-cluster");
    let output = Command::new(program).args(arguments).output()?;
    let code = output.status.code().ok_or("it ends by itself")?;
    Ok((code, String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

#[test]
fn the_command_shows_a_cluster_of_one_node_and_has_it_leave() -> Outcome {
    let token = TokenFile::with("command", &format!("{TOKEN}\n"))?;
    let (node, handle, at) = alone(&token)?;
    assert!(handle.wait_up(PATIENCE));
    let (code, out, errors) = command(&["--at", &at, "status"])?;
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    let has = |row: &[&str]| out.lines().any(|line| line.split_whitespace().eq(row.to_vec()));
    assert!(has(&["node", "alone"]) && has(&["cores", "1"]) && has(&["ready", "yes"]), "{out}");
    let (code, out, _) = command(&["members", "--json", "--at", &at])?;
    let document: Value = serde_json::from_str(&out)?;
    let this = handle.this().ok_or("a member")?;
    let member = &document["members"][0];
    assert_eq!((code, member["incarnation"].as_str()), (0, Some(&*this.incarnation.to_string())));
    assert_eq!((&member["status"], &member["roles"][0]), (&"up".into(), &"carts".into()));
    let (code, out, _) = command(&["members", "--at", &at])?;
    assert!(code == 0 && out.contains(&this.address) && out.contains("asked, leader"), "{out}");
    let (code, out, _) = command(&["shards", "--at", &at])?;
    assert_eq!((code, out.lines().count()), (0, 1), "only the heading: {out}");
    let with_token = ["--at", &at, "--token-file", &token.text()];
    let run = |arguments: &[&str]| command(&[&with_token[..], arguments].concat());
    // No entities here, so none can move.
    let (code, out, errors) = run(&["move", "cart", "3", &format!("{}/0", this.incarnation)])?;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(errors.contains("(409)") && errors.lines().count() == 1, "{errors}");
    let (code, out, _) = run(&["leave", &this.address])?;
    assert_eq!(code, 0);
    assert!(out.contains(&this.incarnation.to_string()), "{out}");
    assert_eq!(handle.wait_stopped(PATIENCE), Some(StopReason::Left));
    let (code, out, _) = command(&["--at", &at, "status"])?;
    assert!(code == 1 && out.contains("no: this node has left the cluster"), "{out}");
    node.shutdown(PATIENCE)?;
    let (code, _, errors) = command(&["--at", &at, "status"])?;
    assert!(code == 1 && errors.contains("no status server answers at"), "{errors}");
    Ok(())
}

#[test]
fn the_oldest_node_shows_all_shards_and_any_node_has_one_moved_when_the_command_asks() -> Outcome {
    let token = TokenFile::with("carts", TOKEN)?;
    let (first, second) = (free_address()?, free_address()?);
    let (one, at_one) = with_carts(&first, &first, &token)?;
    let (two, at_two) = with_carts(&second, &first, &token)?;
    for at in [&at_one, &at_two] {
        ask_until(&["--at", at, "status"], |code, out| code == 0 && out.contains("members"))?;
    }
    let both_have_some = |_: i32, out: &str| {
        !out.contains("no owner known") && out.contains(&first) && out.contains(&second)
    };
    // Without a store the oldest member keeps the records, and others know what they have heard of.
    let shown = ask_until(&["--at", &at_one, "shards"], both_have_some)?;
    assert!(shown.lines().any(|line| line.split_whitespace().take(2).eq(["cart", "8"])), "{shown}");
    // One that is at the first node goes to the second one. The one that does not lead is asked.
    let (_, out, _) = command(&["--at", &at_two, "--json", "members"])?;
    let members: Value = serde_json::from_str(&out)?;
    let members = members["members"].as_array().ok_or("a list")?;
    let incarnation = |address: &str| {
        let member = members.iter().find(|member| member["address"] == address);
        member.and_then(|member| member["incarnation"].as_str()).ok_or("a member")
    };
    let (from, to) = (incarnation(&first)?, incarnation(&second)?);
    let (_, out, _) = command(&["--at", &at_one, "--json", "shards", "cart"])?;
    let shards: Value = serde_json::from_str(&out)?;
    let mut shards = shards["shards"].as_array().ok_or("a list")?.iter();
    let shard = shards.find(|shard| shard["owner"]["incarnation"] == from).ok_or("it has some")?;
    let (number, place) = (shard["shard"].to_string(), format!("{to}/0"));
    let with_token = ["--at", &at_two, "--token-file", &token.text()];
    let (code, out, errors) =
        command(&[&with_token[..], &["move", "cart", &number, &place]].concat())?;
    assert_eq!(code, 0, "{out}{errors}");
    let is_there = |_: i32, out: &str| {
        let mut lines = out.lines().map(|line| line.split_whitespace().take(2));
        lines.any(|line| line.eq([number.as_str(), place.as_str()]))
    };
    ask_until(&["--at", &at_one, "shards", "cart"], is_there)?;
    // What cannot be asked is refused with its reason.
    for (arguments, reason) in [
        (["move", "cart", "8", place.as_str()], "has no shard 8"),
        (["move", "boat", "1", place.as_str()], "no entities of a type"),
        (["move", "cart", "1", "12/0"], "no member has the incarnation 12"),
    ] {
        let (code, _, errors) = command(&[&with_token[..], &arguments].concat())?;
        assert!(code == 1 && errors.contains(reason), "{errors}");
    }
    let (code, out, errors) = command(&[&with_token[..], &["rebalance"]].concat())?;
    assert_eq!(code, 0, "{out}{errors}");
    one.shutdown(PATIENCE)?;
    two.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn a_command_line_that_asks_for_the_impossible_says_so_in_one_line() -> Outcome {
    let short = TokenFile::with("short", "short")?;
    let good = TokenFile::with("good", TOKEN)?;
    let (short, good) = (short.text(), good.text());
    for arguments in [
        &["frobnicate"][..],
        &[],
        &["--at", "nowhere", "status"],
        &["leave", "12"],
        &["--token-file", "no-such-file", "leave", "12"],
        &["--token-file", &short, "leave", "12"],
        &["--token-file", &good, "leave", "somebody"],
        &["--token-file", &good, "move", "cart", "1", "here"],
        &["--token-file", &good, "move", "cart", "-1", "1/0"],
    ] {
        let (code, out, errors) = command(arguments)?;
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors}");
        assert!(errors.starts_with("mainspring-cluster: "), "{errors}");
    }
    Ok(())
}

#[test]
fn what_answers_but_is_no_status_server_is_not_believed() -> Outcome {
    for said in ["", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\n\r\n<html>", "HTTP/1.1 500 No\r\n\r\n"] {
        let other = TcpListener::bind("127.0.0.1:0")?;
        let at = other.local_addr()?.to_string();
        let served = std::thread::spawn(move || -> std::io::Result<()> {
            let (mut socket, _) = other.accept()?;
            let _ = socket.read(&mut [0; 1_024])?;
            socket.write_all(said.as_bytes())?;
            socket.shutdown(Shutdown::Write)
        });
        let (code, out, errors) = command(&["--at", &at, "members"])?;
        assert_eq!((code, out.as_str()), (1, ""), "{said:?}");
        assert!(errors.contains("is no status server"), "{errors}");
        served.join().map_err(|_| "the other server panicked")??;
    }
    Ok(())
}

#[test]
fn damaged_and_large_requests_are_refused_and_the_next_one_is_served() -> Outcome {
    let server = StatusServer::new(ClusterHandle::default()).listen("127.0.0.1:0")?.start()?;
    let at = server.address();
    let large = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    for (bytes, status) in [
        (&b"\x16\x03\x01\x02\x00\x01"[..], "400"),
        (&b"GET /nothing HTTP/1.1\r\n\r\n"[..], "404"),
        (&b"POST /rebalance HTTP/1.1\r\n\r\n"[..], "403"),
        (&b"POST /rebalance HTTP/1.1\r\nContent-Length: 5000\r\n\r\n"[..], "413"),
        (large.as_bytes(), "431"),
        (&b"GET /health/ready HTTP/1.1\r\n\r\n"[..], "503"),
        (&b"GET /health/alive HTTP/1.1\r\n\r\n"[..], "200"),
    ] {
        let answer = exchange(at, bytes)?;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
    }
    drop(server);
    assert!(TcpStream::connect(at).is_err(), "it has stopped");
    Ok(())
}

#[test]
fn slow_clients_are_told_so_after_five_seconds_and_make_room_for_who_waits() -> Outcome {
    let server = StatusServer::new(ClusterHandle::default()).listen("127.0.0.1:0")?.start()?;
    let slow = |_| -> Outcome<TcpStream> {
        let mut socket = TcpStream::connect(server.address())?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(b"GET / HTT")?;
        Ok(socket)
    };
    let slow: Vec<TcpStream> = (0..CONNECTIONS_LIMIT).map(slow).collect::<Outcome<_>>()?;
    let waiting = exchange(server.address(), b"GET /health/alive HTTP/1.1\r\n\r\n")?;
    assert!(waiting.starts_with("HTTP/1.1 200 "), "{waiting}");
    for mut socket in slow {
        let answer = answer(&mut socket)?;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    Ok(())
}

#[test]
fn a_server_that_cannot_listen_says_where_and_its_node_does_not_start() -> Outcome {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let at: SocketAddr = taken.local_addr()?;
    let server = || StatusServer::new(ClusterHandle::default()).listen(&at.to_string());
    let Err(error) = server()?.start() else { return Err("it listens".into()) };
    assert!(error.to_string().contains(&at.to_string()), "{error}");
    let builder = Node::builder().cores(Cores::count(1)).idle(IdleProfile::Eco);
    assert!(builder.with(server()?).start().is_err());
    let nowhere = StatusServer::new(ClusterHandle::default()).listen("nowhere");
    assert!(matches!(nowhere, Err(StatusError::Address { .. })));
    Ok(())
}
