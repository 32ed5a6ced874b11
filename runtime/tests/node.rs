//! A node on the real kernel: started, used from other threads, shut down.

use std::time::Duration;

use mainspring::node::NodeError;
use mainspring::prelude::*;

#[message]
enum Command {
    Deposit { amount: u64 },
    Balance { reply_to: ActorRef<Balance> },
    Silence { reply_to: ActorRef<Balance> },
}

#[message]
#[derive(Debug, PartialEq)]
struct Balance {
    amount: u64,
}

#[derive(Default)]
struct Account {
    balance: u64,
}

impl Actor for Account {
    type Message = Command;

    fn receive(&mut self, ctx: &mut Context<Self>, message: &Archived<Command>) -> Next<Self> {
        match message {
            ArchivedCommand::Deposit { amount } => self.balance += amount.to_native(),
            ArchivedCommand::Balance { reply_to } => {
                ctx.tell(*reply_to, &Balance { amount: self.balance });
            }
            ArchivedCommand::Silence { .. } => {}
        }
        Next::Same
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

fn node(idle: IdleProfile) -> Node {
    Node::builder().name("test").cores(Cores::count(2)).idle(idle).start().expect("a node starts")
}

#[test]
fn a_client_tells_and_asks() -> Result<(), Error> {
    let node = node(IdleProfile::Eco);
    let account = node.spawn(Account::default)?;
    let client = node.client();
    client.tell(account, &Command::Deposit { amount: 5 })?;
    let balance = client.ask(account, |reply_to| Command::Balance { reply_to }, PATIENCE).wait()?;
    assert_eq!(balance.amount, 5);
    node.shutdown(PATIENCE)
}

/// Asks whatever it is told of to stop in its turn, and says whether that could be sent.
struct Stopper;

#[message]
struct ToStop {
    actor: ActorRef<Balance>,
    reply_to: ActorRef<Balance>,
}

impl Actor for Stopper {
    type Message = ToStop;

    fn receive(&mut self, ctx: &mut Context<Self>, message: &Archived<ToStop>) -> Next<Self> {
        let sent = ctx.stop_in_turn(message.actor).is_ok();
        ctx.tell(message.reply_to, &Balance { amount: u64::from(sent) });
        ctx.tell(message.actor, &Balance { amount: 7 });
        Next::Same
    }
}

#[test]
fn what_is_no_actor_is_not_asked_to_stop() -> Result<(), Error> {
    let node = node(IdleProfile::Eco);
    let stopper = node.spawn(|| Stopper)?;
    let client = node.client();
    let inbox = client.inbox::<Balance>().expect("room for one");
    let actor = inbox.actor();
    let told = client.ask(stopper, |reply_to| ToStop { actor, reply_to }, PATIENCE).wait()?;
    assert_eq!(told.amount, 0, "a client's inbox takes messages and nothing else");
    let told =
        client.ask(stopper, |reply_to| ToStop { actor: reply_to, reply_to }, PATIENCE).wait()?;
    assert_eq!(told.amount, 0, "nor does a question that waits for its answer");
    assert_eq!(
        inbox.wait(PATIENCE).expect("whole").expect("the message behind the stop").amount,
        7
    );
    node.shutdown(PATIENCE)
}

#[test]
fn a_client_asks_under_tokio() -> Result<(), Error> {
    let node = node(IdleProfile::Eco);
    let account = node.spawn(Account::default)?;
    let client = node.client();
    client.tell(account, &Command::Deposit { amount: 7 })?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let ask = client.ask(account, |reply_to| Command::Balance { reply_to }, PATIENCE);
    let balance = tokio.block_on(async { tokio::spawn(ask).await.unwrap() })?;
    assert_eq!(balance.amount, 7);
    node.shutdown(PATIENCE)
}

#[test]
fn a_clients_question_without_an_answer_ends_at_its_deadline() -> Result<(), Error> {
    let node = node(IdleProfile::Eco);
    let account = node.spawn(Account::default)?;
    let client = node.client();
    let brief = Duration::from_millis(20);
    let ask =
        client.ask(account, |reply_to: ActorRef<Balance>| Command::Silence { reply_to }, brief);
    assert_eq!(ask.wait(), Err(mainspring::node::ClientError::Timeout));
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ask =
        client.ask(account, |reply_to: ActorRef<Balance>| Command::Silence { reply_to }, brief);
    assert_eq!(tokio.block_on(ask), Err(mainspring::node::ClientError::Timeout));
    node.shutdown(PATIENCE)
}

#[test]
fn sixty_four_clients_at_once() -> Result<(), Error> {
    let node = node(IdleProfile::Eco);
    let account = node.spawn(Account::default)?;
    std::thread::scope(|scope| {
        for _ in 0..64 {
            let client = node.client();
            scope.spawn(move || {
                for _ in 0..100 {
                    client.tell(account, &Command::Deposit { amount: 1 }).unwrap();
                }
                client
                    .ask(account, |reply_to| Command::Balance { reply_to }, PATIENCE)
                    .wait()
                    .unwrap()
            });
        }
    });
    let client = node.client();
    let balance = client.ask(account, |reply_to| Command::Balance { reply_to }, PATIENCE).wait()?;
    assert_eq!(balance.amount, 6400);
    node.shutdown(PATIENCE)
}

#[test]
fn shutdown_stops_every_actor_and_says_when_it_could_not() -> Result<(), Error> {
    let node = node(IdleProfile::default());
    for _ in 0..1000 {
        node.spawn(Account::default)?;
    }
    let metrics = node.metrics();
    assert_eq!(metrics.cores.iter().map(|core| core.actors).sum::<usize>(), 1000);
    node.shutdown(PATIENCE)
}

/// Keeps its core busy for as long as the test wants.
struct Sluggard;

#[message]
struct Work {
    for_ms: u64,
    reply_to: ActorRef<Balance>,
}

impl Actor for Sluggard {
    type Message = Work;

    fn receive(&mut self, ctx: &mut Context<Self>, work: &Archived<Work>) -> Next<Self> {
        let end = std::time::Instant::now() + Duration::from_millis(work.for_ms.to_native());
        while std::time::Instant::now() < end {
            std::hint::spin_loop();
        }
        ctx.tell(work.reply_to, &Balance { amount: 1 });
        Next::Same
    }
}

#[test]
fn a_turn_that_holds_up_its_core_is_counted() -> Result<(), Error> {
    let node = node(IdleProfile::Eco);
    let sluggard = node.spawn(|| Sluggard)?;
    let client = node.client();
    let work = |reply_to: ActorRef<Balance>| Work { for_ms: 30, reply_to };
    client.ask(sluggard, work, PATIENCE).wait()?;
    client.ask(sluggard, work, PATIENCE).wait()?;
    let slow: u64 = node.metrics().cores.iter().map(|core| core.counters.slow_turns).sum();
    assert!(slow >= 1, "{slow} slow turns");
    node.shutdown(PATIENCE)
}

#[test]
fn shutdown_names_the_core_that_a_turn_holds_up() -> Result<(), Error> {
    let node = node(IdleProfile::Eco);
    let sluggard = node.actor(|| Sluggard).on_core(1).start()?;
    let client = node.client();
    let inbox = client.inbox::<Balance>().unwrap();
    client.tell(sluggard, &Work { for_ms: 1500, reply_to: inbox.actor() })?;
    match node.shutdown(Duration::from_millis(50)) {
        Err(Error::Shutdown(error)) => {
            assert_eq!(error.left.len(), 1);
            assert_eq!(error.left[0].core, 1);
            assert!(error.left[0].silent);
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[test]
fn names_are_found_from_outside() -> Result<(), Error> {
    let node = node(IdleProfile::Eco);
    let account = node.actor(Account::default).on_core(1).named("till").start()?;
    // The name travels to core 0 by a control lane: ask until it has come.
    let end = std::time::Instant::now() + PATIENCE;
    let found = loop {
        match node.lookup::<Command>("till") {
            Ok(found) => break found,
            Err(_) if std::time::Instant::now() < end => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(found, account);
    assert!(matches!(
        node.lookup::<Balance>("till"),
        Err(NodeError::Lookup(mainspring::LookupError::WrongType { .. }))
    ));
    node.shutdown(PATIENCE)
}

#[test]
fn an_inbox_gets_what_actors_tell_it_without_its_client_and_frees_its_place() -> Result<(), Error> {
    let node = Node::builder()
        .cores(Cores::count(1))
        .idle(IdleProfile::Eco)
        .limits(|limits| limits.clients = 1)
        .start()?;
    let account = node.spawn(Account::default)?;
    for round in 0..3 {
        let client = node.client();
        let inbox = client.inbox::<Balance>().unwrap();
        client.tell(account, &Command::Deposit { amount: 1 })?;
        client.tell(account, &Command::Balance { reply_to: inbox.actor() })?;
        let ask = |reply_to| Command::Balance { reply_to };
        let ask = client.ask::<_, Balance>(account, ask, PATIENCE);
        drop(client);
        assert_eq!(inbox.wait(PATIENCE).unwrap().map(|balance| balance.amount), Some(round + 1));
        assert_eq!(ask.wait().map(|balance| balance.amount), Ok(round + 1));
        let refused = node.client();
        let told = refused.tell(account, &Command::Deposit { amount: 1 });
        assert_eq!(told, Err(mainspring::TellError::Gone));
        drop(inbox);
        // The place is free when every core has forgotten the client; a spawn is handled after that.
        node.spawn(Account::default)?;
    }
    node.shutdown(PATIENCE)
}

#[test]
fn a_configuration_file_sets_what_code_can_set() {
    let text = "name = \"orders\"\ncores = \"n:1\"\nidle = \"eco\"\n[limits]\nstash_bytes = 4096\n";
    let configuration: mainspring::node::Configuration = text.parse().unwrap();
    assert_eq!(configuration.limits.stash_bytes, 4096);
    assert_eq!(configuration.name, "orders");
    for (text, part) in [
        ("[limits]\nring_bytes = 1000", "power of two"),
        ("[limits]\nasks = 0", "at least 1"),
        ("idle = \"lazy\"", "lazy"),
        ("cores = \"7-\"", "cores"),
        ("colour = \"red\"", "colour"),
        ("[limits]\nstash = 5", "line 2"),
    ] {
        let error = text.parse::<mainspring::node::Configuration>().unwrap_err().to_string();
        assert!(error.contains(part), "{text:?} gives {error:?}");
    }
}
