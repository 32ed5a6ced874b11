//! A node on the real kernel: started, used from other threads, shut down.

use std::time::Duration;

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
