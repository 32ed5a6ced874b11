//! Servers on real sockets over loopback: what clients see of connections that are actors.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use mainspring::prelude::*;
use mainspring_transport::ingress::{
    Connection, ConnectionEnd, ConnectionWriter, Ingress, IngressFigures, IngressHandle,
    IngressLimits, Output, Received,
};

const PATIENCE: Duration = Duration::from_secs(20);

type Outcome = Result<(), Box<dyn Error>>;

#[message]
struct Nothing;

/// Sends back what it gets, whole lines at a time. Some lines mean something:
/// `panic`, `half` (an answer, then a panic), `stop`, `wait` (an exclusive question before what follows).
#[derive(Default)]
struct Lines {
    clock: Option<ActorRef<Ask>>,
    ends: Option<mpsc::Sender<ConnectionEnd>>,
}

impl Actor for Lines {
    type Message = Nothing;

    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Nothing>) -> Next<Self> {
        Next::Same
    }
}

impl Connection for Lines {
    fn received(
        &mut self,
        ctx: &mut Context<Self>,
        bytes: &[u8],
        out: &mut Output<'_>,
    ) -> Received<Self> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            return Received::taken(0).wanting(bytes.len() + 1);
        };
        let line = &bytes[..=end];
        if line == b"panic\n" {
            panic!("a line that this server does not survive");
        }
        if out.write(line).is_err() {
            return Received::taken(0);
        }
        match line {
            b"half\n" => panic!("after half of an answer"),
            b"stop\n" => return Received::taken(end + 1).then(Next::Stop),
            b"wait\n" => {
                if let Some(clock) = self.clock {
                    let ask = |reply_to| Ask { reply_to };
                    ctx.ask(clock, ask, PATIENCE, Self::answered).exclusive();
                }
            }
            _ => {}
        }
        Received::taken(end + 1)
    }

    fn closed(&mut self, _: &mut Context<Self>, end: ConnectionEnd) {
        if let Some(ends) = &self.ends {
            let _ = ends.send(end);
        }
    }
}

impl Lines {
    fn answered(
        &mut self,
        _: &mut Context<Self>,
        _: Result<&Archived<Tick>, AskError>,
    ) -> Next<Self> {
        Next::Same
    }
}

#[message]
struct Tick;

#[message]
struct Ask {
    reply_to: ActorRef<Tick>,
}

/// Answers after a while.
#[derive(Default)]
struct Slow {
    askers: Vec<ActorRef<Tick>>,
}

impl Actor for Slow {
    type Message = Ask;

    fn receive(&mut self, ctx: &mut Context<Self>, ask: &Archived<Ask>) -> Next<Self> {
        self.askers.push(ask.reply_to);
        ctx.pipe(std::future::ready(()), |slow: &mut Slow, ctx, ()| {
            slow.askers.drain(..).for_each(|asker| ctx.tell(asker, &Tick));
            Next::Same
        });
        Next::Same
    }
}

fn served<C: Connection>(
    cores: usize,
    limits: IngressLimits,
    factory: impl Fn(SocketAddr) -> C + Send + Sync + 'static,
) -> Result<(Node, IngressHandle, SocketAddr), Box<dyn Error>> {
    let server = Ingress::tcp("127.0.0.1:0")?.limits(limits).serve(factory);
    let handle = server.handle();
    let node = Node::builder().cores(Cores::count(cores)).idle(IdleProfile::Eco).with(server);
    let node = node.start()?;
    let address = handle.wait_listening(PATIENCE).ok_or("it does not listen")?;
    Ok((node, handle, address))
}

fn connected(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn read_exactly(stream: &mut TcpStream, bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut read = vec![0; bytes];
    stream.read_exact(&mut read)?;
    Ok(read)
}

fn until(
    handle: &IngressHandle,
    wanted: impl Fn(IngressFigures) -> bool,
) -> Result<IngressFigures, Box<dyn Error>> {
    let end = Instant::now() + PATIENCE;
    loop {
        let figures = handle.figures();
        if wanted(figures) {
            return Ok(figures);
        }
        if Instant::now() > end {
            return Err(format!("it did not come to that: {figures:?}").into());
        }
        thread::yield_now();
    }
}

#[test]
fn lines_come_back_whatever_their_splits_and_however_many_are_under_way() -> Outcome {
    let (node, handle, address) = served(2, IngressLimits::default(), |_| Lines::default())?;
    let text: Vec<u8> = (0..2_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    for split in [1, 7, 1_000, text.len()] {
        let mut stream = connected(address)?;
        let mut writer = stream.try_clone()?;
        let sent = text.clone();
        let writing = thread::spawn(move || -> std::io::Result<()> {
            sent.chunks(split).try_for_each(|part| writer.write_all(part))
        });
        assert_eq!(read_exactly(&mut stream, text.len())?, text, "in parts of {split}");
        writing.join().map_err(|_| "the writer panicked")??;
    }
    let figures = until(&handle, |figures| figures.open == 0)?;
    assert_eq!((figures.accepted, figures.refused, figures.failed), (4, 0, 0));
    assert_eq!(figures.received_bytes, 4 * text.len() as u64);
    Ok(node.shutdown(PATIENCE)?)
}

#[test]
fn lines_that_come_together_are_answered_in_few_sends() -> Outcome {
    let (node, handle, address) = served(1, IngressLimits::default(), |_| Lines::default())?;
    let mut stream = connected(address)?;
    let text = b"a\n".repeat(100);
    stream.write_all(&text)?;
    assert_eq!(read_exactly(&mut stream, text.len())?, text);
    assert!(handle.figures().sends <= 4, "{:?}", handle.figures());
    drop(stream);
    Ok(node.shutdown(PATIENCE)?)
}

#[test]
fn a_client_that_finishes_gets_its_answers_and_the_end() -> Outcome {
    let (node, handle, address) = served(1, IngressLimits::default(), |_| Lines::default())?;
    let mut stream = connected(address)?;
    stream.write_all(b"one\ntwo\nhalf a li")?;
    stream.shutdown(Shutdown::Write)?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    assert_eq!(all, b"one\ntwo\n");
    until(&handle, |figures| figures.open == 0)?;
    Ok(node.shutdown(PATIENCE)?)
}

#[test]
fn an_actor_that_stops_has_its_last_answer_sent() -> Outcome {
    let (node, _, address) = served(1, IngressLimits::default(), |_| Lines::default())?;
    let mut stream = connected(address)?;
    stream.write_all(b"one\nstop\nnever\n")?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    assert_eq!(all, b"one\nstop\n");
    drop(stream);
    Ok(node.shutdown(PATIENCE)?)
}

#[test]
fn a_client_that_does_not_end_is_closed_after_a_while_also_at_shutdown() -> Outcome {
    let linger = Duration::from_millis(50);
    let limits = IngressLimits { linger, ..IngressLimits::default() };
    let (node, handle, address) = served(1, limits, |_| Lines::default())?;
    let mut stream = connected(address)?;
    stream.write_all(b"stop\n")?;
    assert_eq!(read_exactly(&mut stream, 5)?, b"stop\n");
    until(&handle, |figures| figures.accepted == 1 && figures.open == 0)?;
    let mut other = connected(address)?;
    other.write_all(b"in\n")?;
    assert_eq!(read_exactly(&mut other, 3)?, b"in\n");
    node.shutdown(PATIENCE)?;
    assert_eq!(other.read(&mut [0; 8])?, 0);
    Ok(())
}

/// Answers nothing, and does not stop when its node does.
struct Stubborn;

impl Actor for Stubborn {
    type Message = Nothing;

    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Nothing>) -> Next<Self> {
        Next::Same
    }
}

impl Connection for Stubborn {
    fn received(
        &mut self,
        _: &mut Context<Self>,
        bytes: &[u8],
        _: &mut Output<'_>,
    ) -> Received<Self> {
        Received::taken(bytes.len())
    }

    fn draining(&mut self, _: &mut Context<Self>, _: &mut Output<'_>) -> Next<Self> {
        Next::Same
    }
}

#[test]
fn a_connection_that_goes_on_at_shutdown_is_reset_when_its_time_is_over() -> Outcome {
    let drain = Duration::from_millis(50);
    let limits = IngressLimits { drain, ..IngressLimits::default() };
    let (node, handle, address) = served(1, limits, |_| Stubborn)?;
    let mut stream = connected(address)?;
    until(&handle, |figures| figures.open == 1)?;
    node.shutdown(PATIENCE)?;
    let end = stream.read(&mut [0; 8]);
    assert!(end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    Ok(())
}

#[test]
fn a_panic_costs_its_connection_alone_and_takes_its_writes_back() -> Outcome {
    let (node, handle, address) = served(1, IngressLimits::default(), |_| Lines::default())?;
    let mut other = connected(address)?;
    for lines in [&b"one\npanic\n"[..], b"one\nhalf\n"] {
        let mut stream = connected(address)?;
        stream.write_all(lines)?;
        let mut all = Vec::new();
        let end = stream.read_to_end(&mut all);
        assert!(end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
        assert!(b"one\n".starts_with(&all[..]), "{}", String::from_utf8_lossy(&all));
        other.write_all(b"still here\n")?;
        assert_eq!(read_exactly(&mut other, 11)?, b"still here\n");
    }
    let figures = until(&handle, |figures| figures.open == 1)?;
    assert_eq!(figures.failed, 2);
    drop(other);
    Ok(node.shutdown(PATIENCE)?)
}

#[test]
fn a_line_above_the_receive_limit_ends_its_connection_with_the_cause() -> Outcome {
    let (told, ends) = mpsc::channel();
    let limits = IngressLimits { receive_bytes: 4 << 10, ..IngressLimits::default() };
    let factory = move |_| Lines { ends: Some(told.clone()), ..Lines::default() };
    let (node, handle, address) = served(1, limits, factory)?;
    let mut stream = connected(address)?;
    // It may be reset before all is written.
    let _ = stream.write_all(&[b'x'; 64 << 10]);
    let end = ends.recv_timeout(PATIENCE)?;
    assert!(end.to_string().contains("bytes of the stream were wanted"), "{end}");
    assert_eq!(until(&handle, |figures| figures.open == 0)?.lost, 1);
    Ok(node.shutdown(PATIENCE)?)
}

#[test]
fn connections_above_the_limit_are_refused_and_counted() -> Outcome {
    let limits = IngressLimits { connections: 2, ..IngressLimits::default() };
    let (node, handle, address) = served(1, limits, |_| Lines::default())?;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = connected(address)?;
        stream.write_all(b"in\n")?;
        assert_eq!(read_exactly(&mut stream, 3)?, b"in\n");
        kept.push(stream);
    }
    let mut refused = connected(address)?;
    let _ = refused.write_all(b"in\n");
    assert!(!matches!(refused.read(&mut [0; 8]), Ok(1..)), "one more got an answer");
    assert_eq!(until(&handle, |figures| figures.refused == 1)?.accepted, 2);
    drop(kept.pop());
    until(&handle, |figures| figures.open == 1)?;
    let mut again = connected(address)?;
    again.write_all(b"in\n")?;
    assert_eq!(read_exactly(&mut again, 3)?, b"in\n");
    drop((kept, again));
    Ok(node.shutdown(PATIENCE)?)
}

#[test]
fn a_silent_connection_ends_and_its_actor_is_told() -> Outcome {
    let (told, ends) = mpsc::channel();
    let limits =
        IngressLimits { idle: Some(Duration::from_millis(50)), ..IngressLimits::default() };
    let factory = move |_| Lines { ends: Some(told.clone()), ..Lines::default() };
    let (node, handle, address) = served(1, limits, factory)?;
    let mut stream = connected(address)?;
    assert_eq!(stream.read(&mut [0; 8])?, 0);
    assert_eq!(ends.recv_timeout(PATIENCE)?, ConnectionEnd::Idle);
    drop(stream);
    assert_eq!(until(&handle, |figures| figures.open == 0)?.idle, 1);
    Ok(node.shutdown(PATIENCE)?)
}

#[test]
fn an_actor_that_waits_keeps_the_bytes_and_their_order() -> Outcome {
    let (give, take) = mpsc::channel::<ActorRef<Ask>>();
    let take = std::sync::Mutex::new(take);
    let (node, _, address) = served(1, IngressLimits::default(), move |_| {
        let clock = take.lock().ok().and_then(|take| take.recv().ok());
        Lines { clock, ..Lines::default() }
    })?;
    give.send(node.spawn(Slow::default)?)?;
    let mut stream = connected(address)?;
    let text: Vec<u8> = (0..200).flat_map(|n| format!("{n}\nwait\n").into_bytes()).collect();
    stream.write_all(&text)?;
    assert_eq!(read_exactly(&mut stream, text.len())?, text);
    drop(stream);
    Ok(node.shutdown(PATIENCE)?)
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_and_loses_nothing() -> Outcome {
    let limits = IngressLimits { output_bytes: 16 << 10, ..IngressLimits::default() };
    let (node, handle, address) = served(1, limits, |_| Lines::default())?;
    let mut slow = connected(address)?;
    let mut writer = slow.try_clone()?;
    // More than the kernel holds for both directions.
    let line = [&[b'x'; 1_023][..], b"\n"].concat();
    let lines: usize = 40_000;
    let sent = line.clone();
    let writing = thread::spawn(move || -> std::io::Result<()> {
        (0..lines).try_for_each(|_| writer.write_all(&sent))
    });
    let mut other = connected(address)?;
    let mut before = u64::MAX;
    // Until the server reads no more of it, another one is served.
    while std::mem::replace(&mut before, handle.figures().received_bytes) != before {
        for _ in 0..1_000 {
            other.write_all(b"quick\n")?;
            assert_eq!(read_exactly(&mut other, 6)?, b"quick\n");
        }
        before = before.wrapping_add(6_000);
    }
    let figures = handle.figures();
    assert!(figures.received_bytes < (lines * line.len()) as u64, "{figures:?}");
    for _ in 0..lines {
        assert_eq!(read_exactly(&mut slow, line.len())?, line);
    }
    writing.join().map_err(|_| "the writer panicked")??;
    drop((slow, other));
    Ok(node.shutdown(PATIENCE)?)
}

/// Counts down in turns of its own, and writes each number.
struct Counter {
    left: u32,
    writer: Option<ConnectionWriter>,
}

#[message]
struct Count;

impl Actor for Counter {
    type Message = Count;

    fn receive(&mut self, ctx: &mut Context<Self>, _: &Archived<Count>) -> Next<Self> {
        let Some(writer) = self.writer.clone() else { return Next::Stop };
        while self.left > 0 {
            if writer.write(ctx, format!("{:>99}\n", self.left).as_bytes()).is_err() {
                return Next::Same;
            }
            self.left -= 1;
        }
        writer.finish(ctx);
        Next::Same
    }
}

impl Connection for Counter {
    fn connected(&mut self, ctx: &mut Context<Self>, writer: &ConnectionWriter) -> Next<Self> {
        self.writer = Some(writer.clone());
        let me = ctx.me();
        ctx.tell(me, &Count);
        Next::Same
    }

    fn received(
        &mut self,
        _: &mut Context<Self>,
        bytes: &[u8],
        _: &mut Output<'_>,
    ) -> Received<Self> {
        Received::taken(bytes.len())
    }

    fn writable(&mut self, ctx: &mut Context<Self>, _: &mut Output<'_>) -> Next<Self> {
        let me = ctx.me();
        ctx.tell(me, &Count);
        Next::Same
    }
}

#[test]
fn an_actor_writes_in_turns_of_its_own_and_hears_of_room() -> Outcome {
    let limits = IngressLimits { output_bytes: 8 << 10, ..IngressLimits::default() };
    let (node, handle, address) = served(1, limits, |_| Counter { left: 5_000, writer: None })?;
    let mut stream = connected(address)?;
    let mut all = String::new();
    stream.read_to_string(&mut all)?;
    let wanted: String = (1..=5_000).rev().map(|n| format!("{n:>99}\n")).collect();
    assert!(all == wanted, "{} bytes came of {}", all.len(), wanted.len());
    drop(stream);
    until(&handle, |figures| figures.open == 0)?;
    Ok(node.shutdown(PATIENCE)?)
}

#[test]
fn a_shutdown_accepts_nothing_more_and_lets_connections_finish() -> Outcome {
    let (node, handle, address) = served(2, IngressLimits::default(), |_| Lines::default())?;
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut stream = connected(address)?;
        stream.write_all(b"in\n")?;
        assert_eq!(read_exactly(&mut stream, 3)?, b"in\n");
        streams.push(stream);
    }
    let ending = thread::spawn(move || node.shutdown(PATIENCE));
    for mut stream in streams {
        assert_eq!(stream.read(&mut [0; 8])?, 0, "an end, not a reset");
    }
    ending.join().map_err(|_| "the shutdown panicked")??;
    assert_eq!(handle.figures().open, 0);
    assert!(TcpStream::connect(address).is_err());
    Ok(())
}

#[test]
fn a_thousand_connections_are_served_by_all_cores() -> Outcome {
    let (node, handle, address) = served(2, IngressLimits::default(), |_| Lines::default())?;
    let mut streams = Vec::new();
    for _ in 0..1_000 {
        streams.push(connected(address)?);
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.write_all(format!("hello from {number}\n").as_bytes())?;
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let wanted = format!("hello from {number}\n");
        assert_eq!(read_exactly(stream, wanted.len())?, wanted.as_bytes());
    }
    until(&handle, |figures| figures.open == 1_000)?;
    drop(streams);
    until(&handle, |figures| figures.open == 0)?;
    Ok(node.shutdown(PATIENCE)?)
}
