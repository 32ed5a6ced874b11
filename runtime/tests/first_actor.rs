//! A first actor: told, asked, stopped; on one core and across cores.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

#[message]
enum Command {
    Deposit { amount: u64 },
    Balance { reply_to: ActorRef<Balance> },
    Break,
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
            ArchivedCommand::Break => panic!("broken on purpose"),
        }
        Next::Same
    }
}

#[test]
fn messages_are_handled_in_order() {
    let mut sim = Simulation::seeded(1);
    let account = sim.spawn(Account::default);
    let probe = sim.probe::<Balance>();
    sim.tell(account, &Command::Deposit { amount: 5 });
    sim.tell(account, &Command::Deposit { amount: 7 });
    sim.tell(account, &Command::Balance { reply_to: probe.actor() });
    probe.expect(|balance| balance.amount == 12);
    probe.expect_nothing();
}

#[test]
fn an_actor_that_panics_stops_and_its_messages_are_dead_letters() {
    let mut sim = Simulation::seeded(1);
    let account = sim.spawn(Account::default);
    sim.tell(account, &Command::Break);
    sim.run_until_idle();
    sim.tell(account, &Command::Deposit { amount: 5 });
    sim.run_until_idle();
    assert_eq!(sim.actors(), 0);
    assert_eq!(sim.dead_letters(Reason::NoActor), 1);
}

#[message]
struct Go {
    account: ActorRef<Command>,
    report: ActorRef<Balance>,
}

struct Asker {
    report: Option<ActorRef<Balance>>,
}

impl Actor for Asker {
    type Message = Go;

    fn receive(&mut self, ctx: &mut Context<Self>, go: &Archived<Go>) -> Next<Self> {
        self.report = Some(go.report);
        let deadline = Duration::from_millis(5);
        ctx.ask(go.account, |reply_to| Command::Balance { reply_to }, deadline, Self::on_balance);
        Next::Same
    }
}

impl Asker {
    fn on_balance(
        &mut self,
        ctx: &mut Context<Self>,
        answer: Result<&Archived<Balance>, AskError>,
    ) -> Next<Self> {
        let amount = match answer {
            Ok(balance) => balance.amount.to_native(),
            Err(_) => u64::MAX,
        };
        if let Some(report) = self.report {
            ctx.tell(report, &Balance { amount });
        }
        Next::Same
    }
}

#[test]
fn an_ask_is_answered_across_cores() {
    Simulation::for_seeds(1..=50, |sim| {
        let mut sim = sim.cores(2);
        let account = sim.at(0).core(1).spawn(Account::default);
        let asker = sim.spawn(|| Asker { report: None });
        let probe = sim.probe::<Balance>();
        sim.tell(account, &Command::Deposit { amount: 9 });
        sim.run_until_idle();
        sim.tell(asker, &Go { account, report: probe.actor() });
        probe.expect(|balance| balance.amount == 9);
    });
}

#[test]
fn an_ask_of_an_actor_that_is_gone_ends_at_its_deadline() {
    let mut sim = Simulation::seeded(3).cores(2);
    let account = sim.at(0).core(1).spawn(Account::default);
    let asker = sim.spawn(|| Asker { report: None });
    let probe = sim.probe::<Balance>();
    sim.stop(account);
    sim.run_until_idle();
    sim.tell(asker, &Go { account, report: probe.actor() });
    probe.expect_nothing_for(Duration::from_millis(4));
    probe.expect(|balance| balance.amount == u64::MAX);
}
