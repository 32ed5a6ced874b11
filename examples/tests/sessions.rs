//! The program as a user starts it, and clients of Redis as others use them: the crate `redis`, and `redis-cli` and
//! `redis-benchmark` where they are installed.

mod program;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Commands, Connection, ErrorKind, RedisResult};

use program::{folder, json, stderr};

type Outcome = Result<(), Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(30);

/// The program, on a port of its own. It does not outlive its test.
struct Server {
    child: Child,
    port: u16,
    data: PathBuf,
}

impl Server {
    fn start(name: &str, arguments: &[&str]) -> Result<Server, Box<dyn Error>> {
        Server::start_in(folder(name), arguments)
    }

    fn start_in(data: PathBuf, arguments: &[&str]) -> Result<Server, Box<dyn Error>> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sessions"))
            .args(["--listen", "127.0.0.1:0", "--cores", "n:2", "--idle", "eco"])
            .arg("--allow-buffered")
            .arg("--data")
            .arg(&data)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("it has no stdout")?;
        let (mut line, mut stdout) = (String::new(), BufReader::new(stdout));
        stdout.read_line(&mut line)?;
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let mut server = Server { child, port: port.unwrap_or(0), data };
        match port {
            Some(_) => Ok(server),
            None => Err(format!("it said {line:?} and ended with {}", server.child.wait()?).into()),
        }
    }

    fn connection(&self) -> RedisResult<Connection> {
        self.connection_by("")
    }

    fn connection_by(&self, query: &str) -> RedisResult<Connection> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/{query}", self.port))?;
        let connection = client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    fn stream(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Sends these bytes, and reads until the server has ended its side.
    fn exchange(&self, bytes: &[u8]) -> Result<String, Box<dyn Error>> {
        let mut stream = self.stream()?;
        stream.write_all(bytes)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut replies = Vec::new();
        stream.read_to_end(&mut replies)?;
        Ok(String::from_utf8_lossy(&replies).into_owned())
    }

    /// Ends it with SIGKILL; where its data lies.
    fn kill(mut self) -> std::io::Result<PathBuf> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(std::mem::take(&mut self.data))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !self.data.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.data);
        }
    }
}

/// A program of Debian's redis-tools; none is a reason to skip, and said.
fn tool(name: &str) -> Option<Command> {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| Path::new(&folder).join(name).is_file())
    });
    if !found {
        eprintln!("skipped: {name} is not installed (Debian: apt-get install redis-tools)");
    }
    found.then(|| Command::new(name))
}

fn detail(error: &redis::RedisError) -> String {
    format!("{} {}", error.code().unwrap_or_default(), error.detail().unwrap_or_default())
}

#[test]
fn the_crate_redis_works_unmodified_in_both_versions_of_the_protocol() -> Outcome {
    let server = Server::start("sessions-crate", &[])?;
    for query in ["", "?protocol=resp3"] {
        let mut client = server.connection_by(query)?;
        let _: () = client.set("a", "1")?;
        assert_eq!(client.get::<_, String>("a")?, "1");
        assert_eq!(client.incr::<_, _, i64>("a", 41)?, 42);
        assert_eq!(client.append::<_, _, i64>("a", "x")?, 3);
        assert_eq!(client.strlen::<_, i64>("a")?, 3);
        let _: () = client.set_ex("e", "soon", 100)?;
        assert_eq!(client.ttl::<_, i64>("e")?, 100);
        assert_eq!(client.persist::<_, i64>("e")?, 1);
        assert_eq!(client.expire::<_, i64>("e", 50)?, 1);
        assert!(client.pttl::<_, i64>("e")? > 49_000);
        let _: () = client.hset_multiple("h", &[("f", "1"), ("g", "2")])?;
        assert_eq!(client.hget::<_, _, String>("h", "g")?, "2");
        let all: std::collections::BTreeMap<String, String> = client.hgetall("h")?;
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!(client.hdel::<_, _, i64>("h", &["f", "x"])?, 1);
        assert_eq!(client.sadd::<_, _, i64>("s", &["m", "n", "m"])?, 2);
        let members: std::collections::BTreeSet<String> = client.smembers("s")?;
        assert_eq!(members.len(), 2);
        assert!(client.sismember::<_, _, bool>("s", "m")?);
        let _: () = client.mset(&[("x", 1), ("y", 2)])?;
        let many: Vec<Option<i64>> = client.mget(&["x", "none", "y", "h"])?;
        assert_eq!(many, [Some(1), None, Some(2), None]);
        assert_eq!(client.exists::<_, i64>(&["x", "x", "none"])?, 2);
        assert_eq!(client.del::<_, i64>(&["a", "e", "h", "s", "x", "y", "none"])?, 6);
        assert_eq!(client.get::<_, Option<String>>("a")?, None);
    }
    Ok(())
}

#[test]
fn what_is_wrong_gets_the_errors_of_redis_and_the_connection_goes_on() -> Outcome {
    let server = Server::start("sessions-errors", &[])?;
    let mut client = server.connection()?;
    let _: () = client.hset("h", "f", "1")?;
    let refused = client.get::<_, String>("h").expect_err("it is a hash");
    assert_eq!(refused.code(), Some("WRONGTYPE"));
    let refused = redis::cmd("NOSUCH").arg("a").query::<String>(&mut client).expect_err("unknown");
    assert_eq!(detail(&refused), "ERR unknown command 'NOSUCH', with args beginning with: 'a' ");
    let refused = redis::cmd("GET").query::<String>(&mut client).expect_err("no key");
    assert_eq!(detail(&refused), "ERR wrong number of arguments for 'get' command");
    assert!(matches!(refused.kind(), ErrorKind::Server(_)), "{:?}", refused.kind());
    assert_eq!(redis::cmd("PING").query::<String>(&mut client)?, "PONG");
    Ok(())
}

#[test]
fn replies_of_a_pipeline_come_in_order_however_long_it_is() -> Outcome {
    let server = Server::start("sessions-pipeline", &[])?;
    let mut client = server.connection()?;
    let mut pipeline = redis::pipe();
    for number in 0..5_000 {
        pipeline.set(format!("key {}", number % 97), number).ignore();
        pipeline.cmd("ECHO").arg(number);
        pipeline.get(format!("key {}", number % 97));
    }
    let replies: Vec<i64> = pipeline.query(&mut client)?;
    let wanted: Vec<i64> = (0..5_000).flat_map(|number| [number, number]).collect();
    assert!(replies == wanted, "{} replies", replies.len());
    Ok(())
}

#[test]
fn requests_before_the_end_of_a_connection_are_answered_and_nonsense_ends_it() -> Outcome {
    let server = Server::start("sessions-wire", &[])?;
    let replies = server.exchange(b"set a 1\r\nget a\r\n*1\r\n$4\r\nPING\r\n")?;
    assert_eq!(replies, "+OK\r\n$1\r\n1\r\n+PONG\r\n");
    let replies = server.exchange(b"get a\r\nquit\r\nget a\r\n")?;
    assert_eq!(replies, "$1\r\n1\r\n+OK\r\n");
    let replies = server.exchange(b"get a\r\n*1\r\n:5\r\nget a\r\n")?;
    assert_eq!(replies, "$1\r\n1\r\n-ERR Protocol error: expected '$', got ':'\r\n");
    // As deep as it gets, it costs nothing.
    let replies = server.exchange(&b"*1\r\n".repeat(100_000))?;
    assert_eq!(replies, "-ERR Protocol error: expected '$', got '*'\r\n");
    let mut endless = b"*1\r\n$99999999\r\n".to_vec();
    endless.resize(3 << 20, b'x');
    let mut stream = server.stream()?;
    let _ = stream.write_all(&endless);
    let mut reply = [0; 26];
    stream.read_exact(&mut reply)?;
    assert_eq!(&reply, b"-ERR Protocol error: too b");
    assert_eq!(server.exchange(b"ping\r\n")?, "+PONG\r\n", "others go on");
    Ok(())
}

#[test]
fn many_clients_of_one_key_lose_no_increment() -> Outcome {
    let server = Server::start("sessions-hot", &[])?;
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let mut client = server.connection()?;
            Ok(std::thread::spawn(move || -> RedisResult<()> {
                for _ in 0..200 {
                    let _: i64 = client.incr("hits", 1)?;
                }
                Ok(())
            }))
        })
        .collect::<RedisResult<_>>()?;
    for client in clients {
        client.join().map_err(|_| "a client panicked")??;
    }
    assert_eq!(server.connection()?.get::<_, i64>("hits")?, 1_600);
    Ok(())
}

#[test]
fn after_a_kill_every_acknowledged_write_is_found() -> Outcome {
    let server = Server::start("sessions-killed", &[])?;
    let (told, acknowledged) = std::sync::mpsc::channel();
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (mut connection, told) = (server.connection()?, told.clone());
            // It ends with the server.
            Ok(std::thread::spawn(move || {
                for number in 1_u64.. {
                    let key = format!("{client}:{}", number % 10);
                    let set: RedisResult<()> = connection.set(&key, number);
                    if set.is_err() || told.send((key, number)).is_err() {
                        return;
                    }
                }
            }))
        })
        .collect::<RedisResult<_>>()?;
    drop(told);
    let mut last = std::collections::BTreeMap::new();
    for _ in 0..2_000 {
        let (key, number) = acknowledged.recv_timeout(PATIENCE)?;
        last.insert(key, number);
    }
    let data = server.kill()?;
    last.extend(acknowledged.iter());
    for client in clients {
        client.join().map_err(|_| "a client panicked")?;
    }
    let server = Server::start_in(data, &[])?;
    let mut client = server.connection()?;
    for (key, number) in &last {
        let found: u64 = client.get(key)?;
        // One more may have been under way.
        assert!(found == *number || found == number + 10, "{key}: {found} for {number}");
    }
    assert_eq!(last.len(), 40);
    Ok(())
}

#[test]
fn without_durability_it_writes_nothing() -> Outcome {
    let server = Server::start("sessions-memory", &["--durability", "none"])?;
    let mut client = server.connection()?;
    let _: () = client.set("a", "1")?;
    assert_eq!(client.incr::<_, _, i64>("a", 1)?, 2);
    assert!(!server.data.exists(), "{}", server.data.display());
    Ok(())
}

#[test]
fn a_session_is_gone_when_its_time_has_come_also_after_a_restart() -> Outcome {
    let server = Server::start("sessions-expiry", &[])?;
    let mut client = server.connection()?;
    let _: () = client.pset_ex("short", "1", 150)?;
    let _: () = client.set_ex("long", "1", 1_000)?;
    let begun = Instant::now();
    let server = Server::start_in(server.kill()?, &[])?;
    let mut client = server.connection()?;
    while client.exists::<_, bool>("short")? {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert!(begun.elapsed() > Duration::from_millis(50), "not before its time");
    assert!(client.ttl::<_, i64>("long")? > 900);
    Ok(())
}

/// What a process says besides where clients find it: where others join it.
fn joining_address(server: &Server) -> Result<String, Box<dyn Error>> {
    let info: String = redis::cmd("INFO").arg("cluster").query(&mut server.connection()?)?;
    let this = info.lines().find_map(|line| line.strip_prefix("cluster_this:"));
    Ok(this.ok_or("it does not say where it is")?.to_owned())
}

/// Sets all keys, when there is somebody who has each of them.
fn set_all(client: &mut Connection, keys: &[String]) -> Outcome {
    let end = Instant::now() + PATIENCE;
    for key in keys {
        while let Err(error) = client.set::<_, _, ()>(key, key) {
            let again = ["CLUSTERDOWN", "TRYAGAIN"].map(Some);
            assert!(again.contains(&error.code()) && Instant::now() < end, "{key}: {error}");
            std::thread::yield_now();
        }
    }
    Ok(())
}

#[test]
fn two_processes_have_the_keys_together_without_any_store() -> Outcome {
    let links = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let first = ["--cluster", "--listen-links", &links, "--seeds", &links];
    let one = Server::start("sessions-one", &first)?;
    let other = Server::start("sessions-other", &["--join", &links])?;
    let end = Instant::now() + PATIENCE;
    while joining_address(&other)? == "none" {
        assert!(Instant::now() < end, "it is not let in");
        std::thread::yield_now();
    }
    assert_eq!(joining_address(&one)?, links);
    let keys: Vec<String> = (0..40).map(|number| format!("key {number}")).collect();
    for server in [&one, &other] {
        let mut client = server.connection()?;
        set_all(&mut client, &keys)?;
        for key in &keys {
            // It may have moved in between, and is empty then.
            let value: Option<String> = client.get(key)?;
            assert!(value.is_none_or(|value| value == *key), "{key}");
        }
    }
    Ok(())
}

#[test]
fn redis_cli_works_unmodified() -> Outcome {
    let Some(mut cli) = tool("redis-cli") else { return Ok(()) };
    let server = Server::start("sessions-cli", &[])?;
    cli.args(["-p", &server.port.to_string(), "-3"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = cli.spawn()?;
    let mut stdin = child.stdin.take().ok_or("it has no stdin")?;
    stdin.write_all(b"SET a 1\nGET a\nHSET h f 1\nHGETALL h\nNOSUCH\nCOMMAND COUNT\n")?;
    drop(stdin);
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("OK\n1\n1\nf 1\nERR unknown command 'NOSUCH'"), "{said}");
    Ok(())
}

#[test]
fn redis_benchmark_works_unmodified() -> Outcome {
    let Some(mut benchmark) = tool("redis-benchmark") else { return Ok(()) };
    let server = Server::start("sessions-benchmark", &[])?;
    let port = server.port.to_string();
    let tests = "ping,set,get,incr,sadd,hset,mset";
    let few = ["-n", "400", "-c", "8", "-P", "4", "-r", "100", "--csv"];
    let output = benchmark.args(["-p", &port, "-t", tests]).args(few).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said} {}", stderr(&output));
    for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "SADD", "HSET", "MSET"] {
        assert!(said.contains(test), "{test} in {said}");
    }
    assert!(!said.contains("rror"), "{said}");
    Ok(())
}

#[test]
fn the_load_drives_the_server_and_tells_how_long_requests_took() {
    let data = folder("sessions-load");
    let load = ["--load", "--seconds", "1", "--connections", "2", "--pipeline", "4"];
    let server = ["--listen", "127.0.0.1:0", "--cores", "n:1", "--allow-buffered"];
    let shown = ["--json", "--data", data.to_str().unwrap()];
    let program = env!("CARGO_BIN_EXE_sessions");
    let output = program::run(program, &[&load[..], &server, &shown].concat());
    let table = json(&output, 0);
    for (row, name) in ["SET", "GET"].into_iter().enumerate() {
        let row = &table["rows"][row];
        assert_eq!(row["name"], name);
        assert!(row["requests"].as_u64() >= Some(4) && row["p50_ns"].as_u64() > Some(0), "{row}");
    }
    let _ = std::fs::remove_dir_all(&data);
}

#[test]
fn impossible_command_lines_exit_2() {
    for arguments in [
        &["--listen", "nowhere"][..],
        &["--durability", "sometimes"],
        &["--cores", "65000"],
        &["--seconds", "3"],
        &["--active", "0"],
        &["--join", "nowhere"],
        &["--join", "127.0.0.1:1", "--seeds", "127.0.0.1:1"],
        &["--join", "127.0.0.1:1", "--key-file", "/nowhere"],
        &["--join", "127.0.0.1:1", "--durability", "always"],
        &["--join", "127.0.0.1:1", "--lease", "0"],
        &["--cluster"],
        &["--cluster", "--seeds", "nowhere"],
        &["--cluster", "--seeds", "127.0.0.1:1", "--listen-links", "nowhere"],
        &["--etcd-prefix", "sessions"],
    ] {
        let output = program::run(env!("CARGO_BIN_EXE_sessions"), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(!stderr(&output).is_empty() && output.stdout.is_empty());
    }
}
