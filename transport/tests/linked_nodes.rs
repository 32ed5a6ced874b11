//! Real nodes in one process, linked over loopback: actors there are as those at home.

use std::error::Error;
use std::time::Duration;

use mainspring::LookupError;
use mainspring::prelude::*;
use mainspring_transport::link::events::{GoneReason, LinkEvent};
use mainspring_transport::{Links, Transport};

const PATIENCE: Duration = Duration::from_secs(20);

type Outcome = Result<(), Box<dyn Error>>;

#[message]
#[derive(Debug, PartialEq)]
struct Sum {
    total: u64,
}

#[message]
struct Add {
    n: u64,
    reply_to: Option<ActorRef<Sum>>,
}

/// Adds up what it is told.
#[derive(Default)]
struct Adder {
    total: u64,
}

impl Actor for Adder {
    type Message = Add;

    fn receive(&mut self, ctx: &mut Context<Self>, add: &Archived<Add>) -> Next<Self> {
        self.total += add.n.to_native();
        if let Some(reply_to) = add.reply_to.as_ref() {
            ctx.tell(*reply_to, &Sum { total: self.total });
        }
        Next::Same
    }
}

/// Tells another actor the numbers up to `n`, and passes a question on.
struct Teller {
    to: ActorRef<Add>,
}

impl Actor for Teller {
    type Message = Add;

    fn receive(&mut self, ctx: &mut Context<Self>, add: &Archived<Add>) -> Next<Self> {
        for n in 1..=add.n.to_native() {
            ctx.tell(self.to, &Add { n, reply_to: None });
        }
        let reply_to = add.reply_to.as_ref().copied();
        ctx.tell(self.to, &Add { n: 0, reply_to });
        Next::Same
    }
}

fn node(name: &str, cores: u16, transport: Transport) -> Result<(Node, Links), Box<dyn Error>> {
    let links = transport.links();
    let builder =
        Node::builder().name(name).cores(Cores::count(cores.into())).idle(IdleProfile::Eco);
    Ok((builder.with(transport).start()?, links))
}

/// Two nodes of so many cores, linked.
fn pair(cores: (u16, u16)) -> Result<(Node, Node), Box<dyn Error>> {
    let [(one, _), (two, _)] = linked(cores, |transport| transport)?;
    Ok((one, two))
}

/// As `pair`, with what `set` sets on both, and with their links.
fn linked(
    cores: (u16, u16),
    set: impl Fn(Transport) -> Transport,
) -> Result<[(Node, Links); 2], Box<dyn Error>> {
    let (one, links) = node("one", cores.0, set(Transport::new().listen("127.0.0.1:0")?))?;
    let address = links.wait_listening(PATIENCE).ok_or("it does not listen")?.to_string();
    let (two, others) = node("two", cores.1, set(Transport::new().connect(&address)?))?;
    links.wait_for_nodes(1, PATIENCE).ok_or("no node came")?;
    others.wait_for_nodes(1, PATIENCE).ok_or("the node was not reached")?;
    Ok([(one, links), (two, others)])
}

#[test]
fn an_actor_asks_and_tells_one_of_another_node() -> Outcome {
    for cores in [(1, 1), (2, 2), (1, 2), (2, 1)] {
        let (one, two) = pair(cores)?;
        for _ in 0..2 {
            let to = one.spawn(Adder::default)?;
            let teller = two.spawn(move || Teller { to })?;
            let client = two.client();
            let ask = |reply_to| Add { n: 1_000, reply_to: Some(reply_to) };
            let sum: Sum = client.ask(teller, ask, PATIENCE).wait()?;
            assert_eq!(sum.total, 500_500, "{cores:?}");
            // The client asks the actor of the other node itself.
            let ask = |reply_to| Add { n: 1, reply_to: Some(reply_to) };
            assert_eq!(client.ask(to, ask, PATIENCE).wait()?, Sum { total: 500_501 });
        }
        one.shutdown(PATIENCE)?;
        two.shutdown(PATIENCE)?;
    }
    Ok(())
}

#[message]
struct Parcel {
    bytes: Vec<u8>,
    reply_to: ActorRef<Sum>,
}

/// Says how large a parcel is.
struct Scales;

impl Actor for Scales {
    type Message = Parcel;

    fn receive(&mut self, ctx: &mut Context<Self>, parcel: &Archived<Parcel>) -> Next<Self> {
        ctx.tell(parcel.reply_to, &Sum { total: parcel.bytes.len() as u64 });
        Next::Same
    }
}

#[test]
fn messages_up_to_256_kib_go_to_another_node_and_a_larger_one_is_a_dead_letter() -> Outcome {
    for cores in [(1, 1), (2, 1)] {
        let (one, two) = pair(cores)?;
        let (scales, client) = (one.spawn(|| Scales)?, two.client());
        for len in [0, 1_000, 4_096, 10_000, 65_536, (256 << 10) - 512] {
            let ask = |reply_to| Parcel { bytes: vec![7; len], reply_to };
            assert_eq!(client.ask(scales, ask, PATIENCE).wait()?.total, len as u64, "{cores:?}");
        }
        let larger = Parcel { bytes: vec![7; 256 << 10], reply_to: client.inbox()?.actor() };
        client.tell(scales, &larger)?;
        // It takes the same way, after it.
        let ask = |reply_to| Parcel { bytes: Vec::new(), reply_to };
        client.ask(scales, ask, PATIENCE).wait()?;
        let metrics = two.metrics();
        let oversized = metrics
            .cores
            .iter()
            .map(|core| core.counters.dead_letters.of(mainspring::Reason::Oversized));
        assert_eq!(oversized.sum::<u64>(), 1);
        one.shutdown(PATIENCE)?;
        two.shutdown(PATIENCE)?;
    }
    Ok(())
}

/// Watches an actor and tells of its end.
struct Watcher {
    of: ActorRef<Add>,
    told: ActorRef<Sum>,
}

impl Actor for Watcher {
    type Message = Sum;

    fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
        ctx.watch(self.of);
        Next::Same
    }

    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Sum>) -> Next<Self> {
        Next::Same
    }

    fn signal(&mut self, ctx: &mut Context<Self>, signal: &Signal) -> Next<Self> {
        if let Signal::Terminated { actor, reason } = signal {
            assert_eq!(*actor, self.of.address());
            let total = u64::from(*reason == mainspring::actor::StopReason::Unreachable);
            ctx.tell(self.told, &Sum { total });
        }
        Next::Same
    }
}

#[test]
fn whoever_watches_an_actor_of_another_node_is_told_of_its_end_once() -> Outcome {
    let (one, two) = pair((2, 2))?;
    let of = one.spawn(Adder::default)?;
    let client = two.client();
    let inbox = client.inbox::<Sum>()?;
    let told = inbox.actor();
    for _ in 0..2 {
        two.spawn(move || Watcher { of, told })?;
    }
    // The watch goes by another connection than this question: it may come before or after the end.
    let ask = |reply_to| Add { n: 1, reply_to: Some(reply_to) };
    client.ask(of, ask, PATIENCE).wait()?;
    one.stop(of)?;
    for _ in 0..2 {
        assert_eq!(inbox.wait(PATIENCE)?, Some(Sum { total: 0 }));
    }
    one.shutdown(PATIENCE)?;
    assert_eq!(inbox.try_next()?, None);
    two.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn whoever_watches_an_actor_of_a_node_that_is_gone_is_told() -> Outcome {
    let beats = |transport: Transport| {
        transport.heartbeats(Duration::from_millis(100), Duration::from_secs(3))
    };
    let (one, links) = node("one", 1, beats(Transport::new().listen("127.0.0.1:0")?))?;
    let address = links.wait_listening(PATIENCE).ok_or("it does not listen")?.to_string();
    let (two, others) = node("two", 1, beats(Transport::new().connect(&address)?))?;
    others.wait_for_nodes(1, PATIENCE).ok_or("the node was not reached")?;
    let of = one.spawn(Adder::default)?;
    let client = two.client();
    let inbox = client.inbox::<Sum>()?;
    let told = inbox.actor();
    let watching = two.spawn(move || Watcher { of, told })?;
    let ask = |reply_to| Add { n: 1, reply_to: Some(reply_to) };
    client.ask(of, ask, PATIENCE).wait()?;
    client.tell(watching, &Sum { total: 0 })?;
    drop(one);
    assert!(inbox.wait(PATIENCE)?.is_some());
    two.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn a_client_finds_an_actor_of_another_node_by_its_name() -> Outcome {
    let (one, two) = pair((2, 2))?;
    one.actor(Adder::default).on_core(1).named("adder").start()?;
    let client = two.client();
    let incarnation = one.info().incarnation;
    let found = loop {
        // The name is known on the core that answers a moment after the actor is made.
        let answer = client.lookup_on(incarnation, "adder", PATIENCE).wait()?;
        match answer.actor::<Add>() {
            Err(LookupError::Unknown { .. }) => std::thread::yield_now(),
            found => break found?,
        }
    };
    let ask = |reply_to| Add { n: 3, reply_to: Some(reply_to) };
    assert_eq!(client.ask(found, ask, PATIENCE).wait()?, Sum { total: 3 });
    let wrong = client.lookup_on(incarnation, "adder", PATIENCE).wait()?.actor::<Sum>();
    assert!(matches!(wrong, Err(LookupError::WrongType { .. })));
    one.shutdown(PATIENCE)?;
    two.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn nodes_that_hold_the_same_key_are_linked_and_others_are_not() -> Outcome {
    use mainspring_transport::handshake::Key;
    let key = |text: &str| Key::from_file_bytes(text.as_bytes());
    let right = key("a key of the bank, 32 bytes long")?;
    let listening = Transport::new().listen("127.0.0.1:0")?.key(right.clone());
    let (one, links) = node("one", 1, listening)?;
    let address = links.wait_listening(PATIENCE).ok_or("it does not listen")?.to_string();
    let wrong = key("another key that is as long as it")?;
    let (two, refused) = node("two", 1, Transport::new().connect(&address)?.key(wrong))?;
    let (three, without) = node("three", 1, Transport::new().connect(&address)?)?;
    let (four, linked) = node("four", 1, Transport::new().connect(&address)?.key(right))?;
    linked.wait_for_nodes(1, PATIENCE).ok_or("the right key was refused")?;
    let names: Vec<String> = links.nodes().into_iter().map(|node| node.name).collect();
    assert_eq!(names, ["four"]);
    assert!(refused.nodes().is_empty() && without.nodes().is_empty());
    for node in [one, two, three, four] {
        node.shutdown(PATIENCE)?;
    }
    Ok(())
}

/// Silence alone tells nothing for so long.
fn patient(transport: Transport) -> Transport {
    transport.heartbeats(Duration::from_secs(1), Duration::from_secs(3_600))
}

/// The reasons that the links have told for the end of a node.
fn gone(links: &Links) -> Vec<GoneReason> {
    let reason_of = |event| match event {
        LinkEvent::Gone { reason, .. } => Some(reason),
        _ => None,
    };
    links.take_events().0.into_iter().filter_map(reason_of).collect()
}

#[test]
fn a_node_that_shuts_down_says_goodbye() -> Outcome {
    for (cores, leaves) in [((1, 1), 0), ((1, 1), 1), ((2, 1), 0), ((1, 2), 1), ((2, 2), 0)] {
        let mut nodes = linked(cores, patient)?;
        nodes.swap(0, leaves);
        let [(one, _), (two, links)] = nodes;
        let of = one.spawn(Adder::default)?;
        let client = two.client();
        let inbox = client.inbox::<Sum>()?;
        let told = inbox.actor();
        let watching = two.spawn(move || Watcher { of, told })?;
        let ask = |reply_to| Add { n: 1, reply_to: Some(reply_to) };
        client.ask(of, ask, PATIENCE).wait()?;
        client.tell(watching, &Sum { total: 0 })?;
        one.shutdown(PATIENCE)?;
        // Of the actor's end, not of its node's silence.
        assert_eq!(inbox.wait(PATIENCE)?, Some(Sum { total: 0 }), "{cores:?}");
        links.wait_until(PATIENCE, <[_]>::is_empty).ok_or("its node still counts as linked")?;
        assert_eq!(gone(&links), [GoneReason::Left], "{cores:?}");
        two.shutdown(PATIENCE)?;
        assert_eq!(inbox.try_next()?, None, "told once");
    }
    Ok(())
}

#[test]
fn what_was_sent_before_a_shutdown_arrives() -> Outcome {
    for cores in [(1, 1), (2, 2), (2, 1)] {
        let [(one, _), (two, links)] = linked(cores, patient)?;
        let to = two.spawn(Adder::default)?;
        let teller = one.spawn(move || Teller { to })?;
        // More than the other node grants at a time.
        let n = 40_000;
        one.client().tell(teller, &Add { n, reply_to: None })?;
        one.shutdown(PATIENCE)?;
        links.wait_until(PATIENCE, <[_]>::is_empty).ok_or("its node still counts as linked")?;
        assert_eq!(gone(&links), [GoneReason::Left]);
        let ask = |reply_to| Add { n: 0, reply_to: Some(reply_to) };
        let sum = two.client().ask(to, ask, PATIENCE).wait()?;
        assert_eq!(sum, Sum { total: n * (n + 1) / 2 }, "{cores:?}");
        two.shutdown(PATIENCE)?;
    }
    Ok(())
}

#[test]
fn two_nodes_that_shut_down_at_the_same_time_do_not_wait_for_each_other() -> Outcome {
    for _ in 0..5 {
        let [(one, _), (two, _)] = linked((2, 2), patient)?;
        let both = std::thread::spawn(move || one.shutdown(PATIENCE));
        let before = std::time::Instant::now();
        two.shutdown(PATIENCE)?;
        both.join().map_err(|_| "the other shutdown panicked")??;
        assert!(before.elapsed() < PATIENCE, "until the deadline");
    }
    Ok(())
}
