//! `--load`: requests from clients in the program itself, over TCP as anybody's, and how long each took.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::options::Options;

/// Keys of one connection.
const KEYS: u64 = 1_000;
/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("a connection of the load failed: {0}")]
    Connection(#[from] io::Error),
    #[error("a reply of {reply:?} came where {wanted:?} was wanted")]
    Reply { reply: String, wanted: &'static str },
    #[error("a thread of the load panicked")]
    Panicked,
}

/// What was measured.
#[derive(Serialize)]
pub struct Table {
    connections: u16,
    pipeline: u16,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    requests: u64,
    requests_per_second: f64,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    max_ns: u64,
}

/// A sort of requests, and the replies that it has.
#[derive(Clone, Copy)]
struct Sort {
    name: &'static str,
    request: fn(connection: u64, number: u64) -> String,
    /// All replies have this.
    reply: &'static str,
}

const SORTS: [Sort; 2] = [
    Sort {
        name: "SET",
        request: |connection, number| {
            let key = format!("load:{connection}:{}", number % KEYS);
            let length = key.len();
            format!("*3\r\n$3\r\nSET\r\n${length}\r\n{key}\r\n$8\r\n{number:08}\r\n")
        },
        reply: "+OK\r\n",
    },
    Sort {
        name: "GET",
        request: |connection, number| {
            let key = format!("load:{connection}:{}", number % KEYS);
            let length = key.len();
            format!("*2\r\n$3\r\nGET\r\n${length}\r\n{key}\r\n")
        },
        reply: "$",
    },
];

/// Drives the server.
///
/// # Errors
/// [`LoadError`].
pub fn drive(address: SocketAddr, options: &Options) -> Result<Table, LoadError> {
    let (connections, pipeline) = (options.connections, options.pipeline);
    let rows = SORTS.iter().map(|sort| drive_sort(address, options, *sort));
    Ok(Table { connections, pipeline, rows: rows.collect::<Result<_, _>>()? })
}

fn drive_sort(address: SocketAddr, options: &Options, sort: Sort) -> Result<Row, LoadError> {
    let begun = Instant::now();
    let end = begun + Duration::from_secs(options.seconds);
    let threads: Vec<_> = (0..u64::from(options.connections))
        .map(|connection| {
            let pipeline = options.pipeline.into();
            std::thread::spawn(move || drive_one(address, connection, pipeline, sort, end))
        })
        .collect();
    let mut latencies_ns = histogram();
    for thread in threads {
        let measured = thread.join().map_err(|_| LoadError::Panicked)??;
        // Both have the same bounds.
        let _ = latencies_ns.add(measured);
    }
    Ok(Row::new(sort.name, begun.elapsed(), &latencies_ns))
}

fn drive_one(
    address: SocketAddr,
    connection: u64,
    pipeline: u64,
    sort: Sort,
    end: Instant,
) -> Result<Histogram<u64>, LoadError> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut latencies_ns = histogram();
    let (mut number, mut replies) = (0, Replies::default());
    while Instant::now() < end {
        let batch: String =
            (number..number + pipeline).map(|number| (sort.request)(connection, number)).collect();
        let begun = Instant::now();
        stream.write_all(batch.as_bytes())?;
        for _ in 0..pipeline {
            replies.next(&mut stream, sort.reply)?;
            // A histogram that grows takes every value.
            let _ = latencies_ns.record(begun.elapsed().as_nanos() as u64);
        }
        number += pipeline;
    }
    Ok(latencies_ns)
}

/// Replies of a connection, one after another.
#[derive(Default)]
struct Replies {
    bytes: Vec<u8>,
    taken: usize,
}

impl Replies {
    /// Takes the next reply, which begins like this.
    fn next(&mut self, stream: &mut TcpStream, wanted: &'static str) -> Result<(), LoadError> {
        loop {
            let rest = &self.bytes[self.taken..];
            match redis_protocol::resp2::decode::decode_range(rest) {
                Ok(Some((_, bytes))) if rest.starts_with(wanted.as_bytes()) => {
                    self.taken += bytes;
                    return Ok(());
                }
                Ok(None) => {}
                _ => {
                    let reply = String::from_utf8_lossy(&rest[..rest.len().min(100)]).into_owned();
                    return Err(LoadError::Reply { reply, wanted });
                }
            }
            self.bytes.drain(..std::mem::take(&mut self.taken));
            let mut more = [0; 4_096];
            match stream.read(&mut more)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                read => self.bytes.extend_from_slice(&more[..read]),
            }
        }
    }
}

/// An empty histogram of nanoseconds, with an error of 1 %.
fn histogram() -> Histogram<u64> {
    match Histogram::new(2) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("two digits are allowed"),
    }
}

impl Row {
    fn new(name: &'static str, took: Duration, latencies_ns: &Histogram<u64>) -> Row {
        let at = |quantile| latencies_ns.value_at_quantile(quantile);
        let requests = latencies_ns.len();
        Row {
            name,
            requests,
            requests_per_second: requests as f64 / took.as_secs_f64(),
            p50_ns: at(0.5),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: latencies_ns.max(),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Table { connections, pipeline, rows } = self;
        writeln!(f, "{connections} connections, {pipeline} requests of each under way together")?;
        writeln!(
            f,
            "{:<6}{:>12}{:>12}{:>10}{:>10}{:>10}{:>10}",
            "", "requests", "a second", "p50 µs", "p99 µs", "p99.9 µs", "max µs"
        )?;
        for row in rows {
            let us = |ns: u64| ns as f64 / 1e3;
            let Row { name, requests, requests_per_second, .. } = row;
            let [p50, p99, p999, max] = [row.p50_ns, row.p99_ns, row.p999_ns, row.max_ns].map(us);
            writeln!(
                f,
                "{name:<6}{requests:>12}{requests_per_second:>12.0}{p50:>10.1}{p99:>10.1}{p999:>10.1}{max:>10.1}"
            )?;
        }
        Ok(())
    }
}
