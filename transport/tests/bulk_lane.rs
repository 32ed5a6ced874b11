//! Large messages between real nodes, over loopback: whole or not at all, in order, and in nobody's way.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainspring::prelude::*;
use mainspring_transport::link::chunks::ChunkRefusal;
use mainspring_transport::link::events::{DownReason, LinkEvent};
use mainspring_transport::wire::Lane;
use mainspring_transport::{Links, Transport};

const PATIENCE: Duration = Duration::from_secs(20);

type Outcome = Result<(), Box<dyn Error>>;

/// Of any size, on the bulk lane.
#[message(bulk)]
#[derive(Debug, PartialEq)]
struct Picture {
    number: u64,
    pixels: Vec<u8>,
    reply_to: Option<ActorRef<Seen>>,
}

/// The same on the ordinary lane.
#[message]
struct Letter {
    number: u64,
    text: Vec<u8>,
    reply_to: Option<ActorRef<Seen>>,
}

/// What an actor has seen.
#[message]
#[derive(Debug, PartialEq, Clone)]
struct Seen {
    numbers: Vec<u64>,
    bytes: u64,
    sum: u64,
}

#[derive(Default)]
struct Eye {
    numbers: Vec<u64>,
    bytes: u64,
    sum: u64,
}

impl Eye {
    fn see(&mut self, number: u64, bytes: &[u8]) -> Seen {
        if number > 0 {
            self.numbers.push(number);
            self.bytes += bytes.len() as u64;
            self.sum = self.sum.wrapping_mul(31).wrapping_add(sum_of(bytes));
        }
        Seen { numbers: self.numbers.clone(), bytes: self.bytes, sum: self.sum }
    }
}

impl Actor for Eye {
    type Message = Picture;

    fn receive(&mut self, ctx: &mut Context<Self>, picture: &Archived<Picture>) -> Next<Self> {
        let seen = self.see(picture.number.to_native(), &picture.pixels);
        if let Some(reply_to) = picture.reply_to.as_ref() {
            ctx.tell(*reply_to, &seen);
        }
        Next::Same
    }
}

#[derive(Default)]
struct Reader(Eye);

impl Actor for Reader {
    type Message = Letter;

    fn receive(&mut self, ctx: &mut Context<Self>, letter: &Archived<Letter>) -> Next<Self> {
        let seen = self.0.see(letter.number.to_native(), &letter.text);
        if let Some(reply_to) = letter.reply_to.as_ref() {
            ctx.tell(*reply_to, &seen);
        }
        Next::Same
    }
}

fn pixels(number: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|at| (at.wrapping_mul(at + number) >> 3) as u8).collect()
}

fn sum_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(7, |sum: u64, byte| sum.wrapping_mul(131).wrapping_add(u64::from(*byte)))
}

fn picture(number: u64, bytes: usize) -> Picture {
    Picture { number, pixels: pixels(number, bytes), reply_to: None }
}

fn node(name: &str, cores: u16, transport: Transport) -> Result<(Node, Links), Box<dyn Error>> {
    let links = transport.links();
    let builder =
        Node::builder().name(name).cores(Cores::count(cores.into())).idle(IdleProfile::Eco);
    Ok((builder.with(transport).start()?, links))
}

type Pair = [(Node, Links); 2];

/// Two nodes, linked; the first one listens.
fn pair(cores: (u16, u16), set: impl Fn(Transport) -> Transport) -> Result<Pair, Box<dyn Error>> {
    pair_by(cores, set, Ok)
}

/// As `pair`, by way of another address.
fn pair_by(
    cores: (u16, u16),
    set: impl Fn(Transport) -> Transport,
    way: impl FnOnce(SocketAddr) -> Result<SocketAddr, Box<dyn Error>>,
) -> Result<Pair, Box<dyn Error>> {
    let (one, links) = node("one", cores.0, set(Transport::new().listen("127.0.0.1:0")?))?;
    let address = way(links.wait_listening(PATIENCE).ok_or("it does not listen")?)?.to_string();
    let (two, others) = node("two", cores.1, set(Transport::new().connect(&address)?))?;
    links.wait_for_nodes(1, PATIENCE).ok_or("no node came")?;
    others.wait_for_nodes(1, PATIENCE).ok_or("the node was not reached")?;
    Ok([(one, links), (two, others)])
}

fn ends(pair: Pair) -> Outcome {
    for (node, _) in pair {
        node.shutdown(PATIENCE)?;
    }
    Ok(())
}

/// What `eye` has seen when what was sent to it before has come.
fn seen(client: &Client, eye: ActorRef<Picture>) -> Result<Seen, Box<dyn Error>> {
    let ask = |reply_to| Picture { number: 0, pixels: Vec::new(), reply_to: Some(reply_to) };
    Ok(client.ask(eye, ask, PATIENCE).wait()?)
}

/// What `eye` has seen when the message with this number has come, which somebody else has sent.
fn seen_up_to(
    client: &Client,
    eye: ActorRef<Picture>,
    number: u64,
) -> Result<Seen, Box<dyn Error>> {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let seen = seen(client, eye)?;
        if seen.numbers.last() == Some(&number) || std::time::Instant::now() > end {
            return Ok(seen);
        }
    }
}

/// Waits until the links have told something of which `find` makes a value.
fn event<T>(links: &Links, mut find: impl FnMut(LinkEvent) -> Option<T>) -> Option<T> {
    let end = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < end {
        if let Some(found) = links.take_events().0.into_iter().find_map(&mut find) {
            return Some(found);
        }
        std::thread::yield_now();
    }
    None
}

#[test]
fn messages_of_every_size_arrive_as_they_were_and_in_order() -> Outcome {
    for (cores, sender, checksums) in
        [((1, 1), 0, false), ((1, 1), 1, true), ((2, 2), 1, false), ((1, 2), 0, true)]
    {
        let mut nodes = pair(cores, |transport| transport.checksums(checksums))?;
        nodes.swap(0, sender);
        let [(from, _), (to, _)] = &nodes;
        let receivers = if sender == 0 { cores.1 } else { cores.0 };
        let eyes = (0..receivers).map(|core| to.actor(Eye::default).on_core(core).start());
        let client = from.client();
        for eye in eyes {
            let eye = eye?;
            let sizes = [1, 4_096, 65_400, 65_536, 65_537, 300_000, 5 << 20, (16 << 20) - 1_024, 1];
            let mut expected = Eye::default();
            for (number, bytes) in (1..).zip(sizes) {
                let picture = picture(number, bytes);
                expected.see(number, &picture.pixels);
                while let Err(error) = client.tell(eye, &picture) {
                    assert!(error.to_string().contains("full"), "{error}");
                    std::thread::yield_now();
                }
                // One after the other, so that what waits is never more than the budget.
                seen(&client, eye)?;
            }
            assert_eq!(seen(&client, eye)?, expected.see(0, &[]), "{cores:?}");
        }
        drop(client);
        ends(nodes)?;
    }
    Ok(())
}

/// What became of messages that an actor tried to send.
#[message]
#[derive(Debug, PartialEq)]
struct Tried {
    outcomes: Vec<String>,
}

/// Asks an actor to send pictures of these sizes, or letters.
#[message]
struct Try {
    sizes: Vec<u64>,
    reply_to: ActorRef<Tried>,
}

struct Sender {
    pictures: ActorRef<Picture>,
    letters: Option<ActorRef<Letter>>,
}

impl Actor for Sender {
    type Message = Try;

    fn receive(&mut self, ctx: &mut Context<Self>, order: &Archived<Try>) -> Next<Self> {
        let mut outcomes = Vec::new();
        for (number, bytes) in (1..).zip(order.sizes.iter()) {
            let bytes = bytes.to_native() as usize;
            let sent = match self.letters {
                Some(letters) => {
                    let letter = Letter { number, text: pixels(number, bytes), reply_to: None };
                    ctx.try_tell(letters, &letter)
                }
                None => ctx.try_tell(self.pictures, &picture(number, bytes)),
            };
            outcomes.push(sent.map_or_else(|error| format!("{error:?}"), |()| "sent".to_owned()));
        }
        ctx.tell(order.reply_to, &Tried { outcomes });
        Next::Same
    }
}

fn try_sizes(node: &Node, sender: Sender, sizes: &[u64]) -> Result<Vec<String>, Box<dyn Error>> {
    let sender = node.spawn(move || Sender { ..sender })?;
    let ask = |reply_to| Try { sizes: sizes.to_vec(), reply_to };
    Ok(node.client().ask(sender, ask, PATIENCE).wait()?.outcomes)
}

#[test]
fn what_is_too_large_is_refused_where_it_is_sent() -> Outcome {
    let nodes = pair((1, 2), |transport| transport.bulk_message_bytes(1 << 20))?;
    let [(one, _), (two, _)] = &nodes;
    let pictures = one.spawn(Eye::default)?;
    let letters = one.spawn(Reader::default)?;
    let sizes = [(1 << 20) - 64, (1 << 20) + 1, 100];
    let outcomes = try_sizes(two, Sender { pictures, letters: None }, &sizes)?;
    let oversized = "Oversized { limit_bytes: 1048576 }";
    assert_eq!(outcomes, ["sent", oversized, "sent"]);
    let client = two.client();
    assert_eq!(seen_up_to(&client, pictures, 3)?.numbers, [1, 3]);
    // A message of an ordinary type stays on its lane, however large it is.
    let sizes = [200_000, 300_000, 100];
    let outcomes = try_sizes(two, Sender { pictures, letters: Some(letters) }, &sizes)?;
    assert_eq!(outcomes, ["sent", "Oversized { limit_bytes: 262128 }", "sent"]);
    let ask = |reply_to| Letter { number: 0, text: Vec::new(), reply_to: Some(reply_to) };
    let end = std::time::Instant::now() + PATIENCE;
    let mut numbers = Vec::new();
    while numbers.last() != Some(&3) && std::time::Instant::now() < end {
        numbers = client.ask(letters, ask, PATIENCE).wait()?.numbers;
    }
    assert_eq!(numbers, [1, 3]);
    drop(client);
    ends(nodes)
}

#[test]
fn what_waits_beyond_the_budget_finds_no_room_and_the_rest_arrives() -> Outcome {
    let nodes = pair((2, 1), |transport| transport.bulk_budget_bytes(1 << 20))?;
    let [(one, _), (two, _)] = &nodes;
    let pictures = two.spawn(Eye::default)?;
    // In one turn, so that none of them can have gone before the last one.
    let sizes = [400_000, 400_000, 400_000, 100_000];
    let outcomes = try_sizes(one, Sender { pictures, letters: None }, &sizes)?;
    assert_eq!(outcomes, ["sent", "sent", "Full", "sent"]);
    let seen = seen_up_to(&one.client(), pictures, 4)?;
    assert_eq!((seen.numbers.as_slice(), seen.bytes), ([1, 2, 4].as_slice(), 900_000));
    let outcomes = try_sizes(one, Sender { pictures, letters: None }, &sizes[..2])?;
    assert_eq!(outcomes, ["sent", "sent"], "the room is free again");
    ends(nodes)
}

#[test]
fn a_receiver_that_takes_less_refuses_a_message_alone_and_says_so() -> Outcome {
    for is_budget in [false, true] {
        let (one, links) = {
            let transport = Transport::new().listen("127.0.0.1:0")?;
            let transport = match is_budget {
                true => transport.bulk_budget_bytes(200_000),
                false => transport.bulk_message_bytes(200_000),
            };
            node("one", 2, transport)?
        };
        let address = links.wait_listening(PATIENCE).ok_or("it does not listen")?.to_string();
        let (two, others) = node("two", 1, Transport::new().connect(&address)?)?;
        others.wait_for_nodes(1, PATIENCE).ok_or("the node was not reached")?;
        let pictures = one.spawn(Eye::default)?;
        let sizes = [100_000, 300_000, 150_000];
        let outcomes = try_sizes(&two, Sender { pictures, letters: None }, &sizes)?;
        assert_eq!(outcomes, ["sent", "sent", "sent"]);
        assert_eq!(seen_up_to(&two.client(), pictures, 3)?.numbers, [1, 3]);
        let refused = |event| match event {
            LinkEvent::LargeMessageRefused { reason, .. } => Some(reason),
            _ => None,
        };
        match event(&links, refused).ok_or("no event")? {
            ChunkRefusal::OverBudget { declared_bytes, budget_bytes, .. } if is_budget => {
                assert!(declared_bytes > 300_000 && budget_bytes == 200_000);
            }
            ChunkRefusal::TooLarge { declared_bytes, limit_bytes } if !is_budget => {
                assert!(declared_bytes > 300_000 && limit_bytes == 200_000);
            }
            other => return Err(format!("{other}").into()),
        }
        ends([(one, links), (two, others)])?;
    }
    Ok(())
}

/// What a proxy between two nodes does with what the dialler sends on the bulk connection.
#[derive(Default)]
struct Rules {
    /// Nothing more is read of it.
    holds: bool,
    /// It is reset after so many bytes, once.
    cut_after: Option<usize>,
}

#[derive(Default)]
struct Proxy {
    rules: Mutex<Rules>,
    changed: Condvar,
}

impl Proxy {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules());
        self.changed.notify_all();
    }

    /// Passes everything on between whoever connects and `to`; where it listens.
    fn before(self: &Arc<Self>, to: SocketAddr) -> Result<SocketAddr, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let proxy = Arc::clone(self);
        std::thread::spawn(move || {
            for dialler in listener.incoming().flatten() {
                let Ok(dialled) = TcpStream::connect(to) else { continue };
                let (Ok(from), Ok(back)) = (dialled.try_clone(), dialler.try_clone()) else {
                    continue;
                };
                let proxy = Arc::clone(&proxy);
                std::thread::spawn(move || proxy.pass_on(dialler, dialled));
                std::thread::spawn(move || Proxy::default().pass_on(from, back));
            }
        });
        Ok(address)
    }

    fn pass_on(&self, mut from: TcpStream, mut to: TcpStream) {
        let (mut buffer, mut passed, mut is_bulk) = (vec![0; 1 << 16], 0, false);
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut bytes = &buffer[..count];
            if passed == 0 {
                // The dialler's hello: its lane stands behind the envelope and five bytes.
                is_bulk = bytes.get(21) == Some(&Lane::Bulk.code());
            }
            passed += count;
            let mut is_cut = false;
            if is_bulk {
                let mut rules = self.rules();
                while rules.holds {
                    let waited = self.changed.wait(rules);
                    rules = waited.unwrap_or_else(PoisonError::into_inner);
                }
                if let Some(limit) = rules.cut_after.filter(|limit| passed > *limit) {
                    bytes = &bytes[..count - (passed - limit)];
                    (rules.cut_after, is_cut) = (None, true);
                }
            }
            if to.write_all(bytes).is_err() || is_cut {
                break;
            }
        }
        for stream in [from, to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn a_message_whose_connection_is_lost_on_the_way_does_not_arrive_and_the_next_one_does() -> Outcome
{
    let proxy = Arc::new(Proxy::default());
    proxy.set(|rules| rules.cut_after = Some(1_500_000));
    let nodes = pair_by((2, 2), |transport| transport, |address| proxy.before(address))?;
    let [(one, links), (two, others)] = &nodes;
    let pictures = one.spawn(Eye::default)?;
    let sizes = [500_000, 5_000_000, 700_000];
    let outcomes = try_sizes(two, Sender { pictures, letters: None }, &sizes)?;
    assert_eq!(outcomes, ["sent", "sent", "sent"]);
    let lost = |event| match event {
        LinkEvent::Down { connection, maybe_lost, .. } if connection.lane == Lane::Bulk => {
            Some(maybe_lost)
        }
        _ => None,
    };
    let maybe_lost = event(others, lost).ok_or("it was not lost")?;
    assert!(maybe_lost.frames > 0, "{maybe_lost:?}");
    let seen = seen_up_to(&two.client(), pictures, 3)?;
    assert_eq!((seen.numbers.as_slice(), seen.bytes), ([1, 3].as_slice(), 1_200_000));
    assert!(event(links, lost).is_some());
    ends(nodes)
}

#[test]
fn a_small_message_does_not_wait_behind_large_ones() -> Outcome {
    let proxy = Arc::new(Proxy::default());
    let nodes = pair_by((1, 1), |transport| transport, |address| proxy.before(address))?;
    let [(one, _), (two, _)] = &nodes;
    let (pictures, letters) = (one.spawn(Eye::default)?, one.spawn(Reader::default)?);
    let client = two.client();
    seen(&client, pictures)?;
    proxy.set(|rules| rules.holds = true);
    for number in 1..=3 {
        client.tell(pictures, &picture(number, 8 << 20))?;
    }
    let ask = |reply_to| Letter { number: 4, text: vec![1; 100], reply_to: Some(reply_to) };
    assert_eq!(client.ask(letters, ask, PATIENCE).wait()?.numbers, [4]);
    proxy.set(|rules| rules.holds = false);
    assert_eq!(seen(&client, pictures)?.numbers, [1, 2, 3]);
    drop(client);
    ends(nodes)
}

#[test]
fn a_peer_that_takes_nothing_of_large_messages_is_slow_and_then_disconnected() -> Outcome {
    let proxy = Arc::new(Proxy::default());
    let set = |transport: Transport| {
        let transport = transport.slow_peers(1 << 20, Duration::from_millis(300));
        transport.bulk_message_bytes(4 << 20).bulk_budget_bytes(10 << 20)
    };
    let nodes = pair_by((1, 1), set, |address| proxy.before(address))?;
    let [(one, _), (two, links)] = &nodes;
    let (pictures, letters) = (one.spawn(Eye::default)?, one.spawn(Reader::default)?);
    let client = two.client();
    seen(&client, pictures)?;
    proxy.set(|rules| rules.holds = true);
    let sizes = [3_500_000; 4];
    let outcomes = try_sizes(two, Sender { pictures, letters: None }, &sizes)?;
    assert_eq!(outcomes, ["sent", "sent", "Full", "Full"]);
    let slow = |event| match event {
        LinkEvent::SlowPeer { connection, waiting_bytes, .. } => {
            Some((connection.lane, waiting_bytes))
        }
        _ => None,
    };
    let (lane, waiting_bytes) = event(links, slow).ok_or("it is not called slow")?;
    assert!(lane == Lane::Bulk && waiting_bytes > 3_500_000, "{lane} {waiting_bytes}");
    let ended = |event| match event {
        LinkEvent::Down { connection, reason, .. } => Some((connection.lane, reason)),
        _ => None,
    };
    let end = event(links, ended).ok_or("it stays connected")?;
    assert_eq!(end, (Lane::Bulk, DownReason::SlowPeer));
    let ask = |reply_to| Letter { number: 4, text: vec![1; 100], reply_to: Some(reply_to) };
    assert_eq!(client.ask(letters, ask, PATIENCE).wait()?.numbers, [4]);
    proxy.set(|rules| rules.holds = false);
    // The one that was under way is lost; the other may be.
    let seen = seen(&client, pictures)?;
    assert!(!seen.numbers.contains(&1), "{seen:?}");
    drop(client);
    ends(nodes)
}

#[test]
fn large_messages_that_wait_go_out_before_a_shutdown_says_goodbye() -> Outcome {
    for leaves in [0, 1] {
        let mut nodes = pair((2, 2), |transport| transport)?;
        nodes.swap(0, leaves);
        let [(one, _), (two, links)] = nodes;
        let pictures = two.spawn(Eye::default)?;
        // The connection for them is not even there yet.
        let sizes = [7 << 20; 4];
        let outcomes = try_sizes(&one, Sender { pictures, letters: None }, &sizes)?;
        assert_eq!(outcomes, ["sent"; 4]);
        one.shutdown(PATIENCE)?;
        links.wait_until(PATIENCE, <[_]>::is_empty).ok_or("its node still counts as linked")?;
        assert_eq!(seen(&two.client(), pictures)?.numbers, [1, 2, 3, 4]);
        two.shutdown(PATIENCE)?;
    }
    Ok(())
}

#[test]
fn large_messages_between_cores_arrive_or_are_refused() -> Outcome {
    let (one, _) = node("one", 2, Transport::new())?;
    let pictures = one.actor(Eye::default).on_core(1).start()?;
    let letters = None;
    let sender = one.actor(move || Sender { pictures, letters }).on_core(0).start()?;
    let client = one.client();
    // In one turn, of which nothing is taken before its end.
    let sizes = vec![16 << 20, 70 << 20, 16 << 20, 16 << 20, 20 << 20, 100];
    let ask = |reply_to| Try { sizes, reply_to };
    let outcomes = client.ask(sender, ask, PATIENCE).wait()?.outcomes;
    let oversized = "Oversized { limit_bytes: 67108864 }";
    assert_eq!(outcomes, ["sent", oversized, "sent", "sent", "Full", "sent"]);
    assert_eq!(seen_up_to(&client, pictures, 6)?.numbers, [1, 3, 4, 6]);
    drop(client);
    one.shutdown(PATIENCE)?;
    Ok(())
}
