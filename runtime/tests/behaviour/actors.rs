//! The actors that the scenarios are played with.

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};

/// What a [`Puppet`] takes.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    pub n: u64,
}

/// A question that is answered with a [`Number`].
#[message]
pub struct Question {
    pub n: u64,
    pub reply_to: ActorRef<Number>,
}

/// What happened, in words.
#[message]
#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    pub text: String,
}

type OnNumber = Box<dyn FnMut(&mut Context<'_, Puppet>, u64) -> Next<Puppet>>;
type OnSignal = Box<dyn FnMut(&mut Context<'_, Puppet>, &Signal) -> Next<Puppet>>;
type OnStart = Box<dyn FnMut(&mut Context<'_, Puppet>) -> Next<Puppet>>;
type OnStop = Box<dyn FnMut(&mut Context<'_, Puppet>)>;

/// An actor that does what a scenario says.
pub struct Puppet {
    on_number: OnNumber,
    on_signal: Option<OnSignal>,
    on_start: Option<OnStart>,
    on_stop: Option<OnStop>,
    on_drop: Option<Box<dyn FnMut()>>,
}

impl Puppet {
    pub fn new(
        on_number: impl FnMut(&mut Context<'_, Puppet>, u64) -> Next<Puppet> + 'static,
    ) -> Self {
        Puppet {
            on_number: Box::new(on_number),
            on_signal: None,
            on_start: None,
            on_stop: None,
            on_drop: None,
        }
    }

    /// One that does nothing.
    pub fn idle() -> Self {
        Puppet::new(|_, _| Next::Same)
    }

    pub fn on_signal(
        mut self,
        signal: impl FnMut(&mut Context<'_, Puppet>, &Signal) -> Next<Puppet> + 'static,
    ) -> Self {
        self.on_signal = Some(Box::new(signal));
        self
    }

    /// Writes each signal to a probe.
    pub fn telling_signals(self, to: ActorRef<Text>) -> Self {
        self.on_signal(move |ctx, signal| {
            ctx.tell(to, &Text { text: format!("{signal:?}") });
            Next::Same
        })
    }

    pub fn on_start(
        mut self,
        start: impl FnMut(&mut Context<'_, Puppet>) -> Next<Puppet> + 'static,
    ) -> Self {
        self.on_start = Some(Box::new(start));
        self
    }

    pub fn on_stop(mut self, stop: impl FnMut(&mut Context<'_, Puppet>) + 'static) -> Self {
        self.on_stop = Some(Box::new(stop));
        self
    }

    pub fn on_drop(mut self, drop: impl FnMut() + 'static) -> Self {
        self.on_drop = Some(Box::new(drop));
        self
    }
}

impl Actor for Puppet {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        (self.on_number)(ctx, number.n.to_native())
    }

    fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
        self.on_start.as_mut().map_or(Next::Same, |start| start(ctx))
    }

    fn signal(&mut self, ctx: &mut Context<Self>, signal: &Signal) -> Next<Self> {
        self.on_signal.as_mut().map_or(Next::Same, |on| on(ctx, signal))
    }

    fn stopped(&mut self, ctx: &mut Context<Self>) {
        if let Some(stop) = &mut self.on_stop {
            stop(ctx);
        }
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        if let Some(drop) = &mut self.on_drop {
            drop();
        }
    }
}

/// Answers each question with ten times its number.
pub struct Answerer;

impl Actor for Answerer {
    type Message = Question;

    fn receive(&mut self, ctx: &mut Context<Self>, question: &Archived<Question>) -> Next<Self> {
        ctx.tell(question.reply_to, &Number { n: question.n.to_native() * 10 });
        Next::Same
    }
}

/// Everything that has come to a probe by now, in order.
pub fn numbers(probe: &Probe<Number>) -> Vec<u64> {
    (0..probe.waiting()).map(|_| probe.next().n).collect()
}

/// Everything that has come to a probe by now, in order.
pub fn texts(probe: &Probe<Text>) -> Vec<String> {
    (0..probe.waiting()).map(|_| probe.next().text).collect()
}

/// Sends a puppet the number `n` and lets everything that follows from it happen.
pub fn play(sim: &mut Simulation, puppet: ActorRef<Number>, n: u64) {
    sim.tell(puppet, &Number { n });
    sim.run_until_idle();
}

/// Lets panics that scenarios cause on purpose pass in silence.
pub fn quietly() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload_as_str().unwrap_or("");
            if !text.contains("on purpose") && !text.contains("injected") {
                loud(panic);
            }
        }));
    });
}
