//! Local payloads are owned once: taken by the receiver, or freed, whatever becomes of the message.

use std::sync::Arc;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

use crate::actors::{Number, play, quietly};

#[message]
struct Parcel {
    what: Local<Arc<()>>,
}

/// Sends a clone of its payload to `to`.
struct Sender {
    to: ActorRef<Parcel>,
    payload: Arc<()>,
}

impl Actor for Sender {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<Self>, _: &Archived<Number>) -> Next<Self> {
        let to = ctx.local(self.to).expect("of this node");
        ctx.tell_local(to, &Parcel { what: Local::new(Arc::clone(&self.payload)) });
        Next::Same
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Does {
    Keeps,
    Ignores,
    Stashes,
    Panics,
}

struct Receiver {
    does: Does,
    kept: Vec<Arc<()>>,
}

impl Actor for Receiver {
    type Message = Parcel;

    fn receive(&mut self, _: &mut Context<Self>, parcel: &Archived<Parcel>) -> Next<Self> {
        match self.does {
            Does::Ignores => {}
            Does::Keeps => self.kept.push(parcel.what.take().expect("not taken yet")),
            Does::Panics => panic!("on purpose"),
            Does::Stashes => {
                self.does = Does::Keeps;
                return Next::Stash;
            }
        }
        if self.does == Does::Keeps { Next::switch(Self::keeping) } else { Next::Same }
    }
}

impl Receiver {
    fn keeping(&mut self, _: &mut Context<Self>, parcel: &Archived<Parcel>) -> Next<Self> {
        self.kept.push(parcel.what.take().expect("not taken yet"));
        Next::Same
    }
}

/// Sends `sent` payloads to a receiver on each core and gives how many live on.
fn alive_after(does: Does, sent: u64, change: fn(&mut Limits), stop: bool) -> Vec<usize> {
    quietly();
    let both = (0..2).map(|core| {
        let payload = Arc::new(());
        let mut sim = Simulation::seeded(8).cores(2).limits(change);
        let to = sim.at(0).core(core).spawn(move || Receiver { does, kept: Vec::new() });
        let kept = Arc::clone(&payload);
        let sender = sim.spawn(move || Sender { to, payload: Arc::clone(&kept) });
        if stop {
            sim.stop(to);
        }
        for n in 0..sent {
            play(&mut sim, sender, n);
        }
        // One here, one in the sender; top-level factories without a policy are not kept.
        let alive = Arc::strong_count(&payload) - 2;
        drop(sim);
        assert_eq!(Arc::strong_count(&payload), 1, "the end of the simulation frees everything");
        alive
    });
    both.collect()
}

#[test]
fn a_receiver_keeps_what_it_takes() {
    assert_eq!(alive_after(Does::Keeps, 3, |_| {}, false), [3, 3]);
}

#[test]
fn what_is_not_taken_is_freed_after_the_turn() {
    assert_eq!(alive_after(Does::Ignores, 3, |_| {}, false), [0, 0]);
}

#[test]
fn what_a_failing_turn_did_not_take_is_freed() {
    assert_eq!(alive_after(Does::Panics, 2, |_| {}, false), [0, 0]);
}

#[test]
fn a_payload_survives_the_stash() {
    assert_eq!(alive_after(Does::Stashes, 1, |_| {}, false), [1, 1]);
    assert_eq!(alive_after(Does::Stashes, 3, |_| {}, false), [3, 3]);
}

#[test]
fn a_payload_in_a_stash_without_room_is_freed() {
    assert_eq!(alive_after(Does::Stashes, 1, |limits| limits.stash_bytes = 0, false), [0, 0]);
}

#[test]
fn a_payload_for_an_actor_that_is_gone_is_freed() {
    assert_eq!(alive_after(Does::Keeps, 2, |_| {}, true), [0, 0]);
}
