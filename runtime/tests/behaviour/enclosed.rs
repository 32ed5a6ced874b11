//! Messages are passed on without being read.

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

use crate::actors::{Text, texts};

/// A text for somebody else.
#[message]
pub struct ForSomebody {
    pub to: ActorRef<Text>,
    pub text: Enclosed<Text>,
}

/// Passes on what it gets, at once or, from its third message on, everything that it has kept so far.
#[derive(Default)]
struct Porter {
    kept: Vec<(ActorRef<Text>, Enclosed<Text>)>,
    keeps: bool,
}

impl Actor for Porter {
    type Message = ForSomebody;

    fn receive(&mut self, ctx: &mut Context<Self>, message: &Archived<ForSomebody>) -> Next<Self> {
        if self.keeps {
            self.kept.push((message.to, message.text.view().keep()));
        } else {
            ctx.tell_enclosed(message.to, message.text.view());
        }
        if self.kept.len() == 3 {
            for (to, text) in self.kept.drain(..) {
                ctx.tell_enclosed(to, text.view());
            }
        }
        Next::Same
    }
}

fn text(length: usize, letter: char) -> Text {
    Text { text: std::iter::repeat_n(letter, length).collect() }
}

#[test]
fn an_enclosed_message_arrives_as_if_it_had_been_sent_directly() {
    // Larger than a chunk of the local queue, and than what a ring takes in one piece.
    for length in [0, 3, 600, 9_000, 200_000] {
        for core in 0..2 {
            for keeps in [false, true] {
                let mut sim = Simulation::seeded(7).cores(2);
                let told = sim.at(0).core(core).probe::<Text>();
                let porter = sim.spawn(move || Porter { keeps, ..Porter::default() });
                for letter in ['a', 'b', 'c'] {
                    let text = Enclosed::of(&text(length, letter)).expect("small enough");
                    sim.tell(porter, &ForSomebody { to: told.actor(), text });
                }
                sim.run_until_idle();
                let expected = ['a', 'b', 'c'].map(|letter| text(length, letter).text);
                assert_eq!(texts(&told), expected, "{length} bytes to core {core}");
            }
        }
    }
}

#[test]
fn an_enclosed_message_for_nobody_is_a_dead_letter() {
    let mut sim = Simulation::seeded(7);
    let gone = sim.probe::<Text>().actor();
    let told = sim.probe::<Text>();
    sim.stop(gone);
    sim.run_until_idle();
    let porter = sim.spawn(Porter::default);
    for to in [gone, told.actor()] {
        let text = Enclosed::of(&text(3, 'x')).expect("small enough");
        sim.tell(porter, &ForSomebody { to, text });
    }
    sim.run_until_idle();
    assert_eq!(sim.dead_letters(Reason::NoActor), 1);
    assert_eq!(texts(&told), ["xxx"]);
}
