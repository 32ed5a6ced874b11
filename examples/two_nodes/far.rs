//! The actors of the node that listens.

use mainspring::prelude::*;

use crate::message::{ArchivedBall, ArchivedItem, Ball, Item, Progress};

/// Sends back what it gets, with a payload of the same size.
#[derive(Default)]
pub struct Wall {
    payload: Vec<u8>,
}

impl Actor for Wall {
    type Message = Ball;

    fn receive(&mut self, ctx: &mut Context<Self>, ball: &Archived<Ball>) -> Next<Self> {
        let ArchivedBall { number, from, payload } = ball;
        let mut own = std::mem::take(&mut self.payload);
        own.resize(payload.len(), 0);
        let back = Ball { number: number.to_native(), from: ctx.me(), payload: own };
        ctx.tell(*from, &back);
        self.payload = back.payload;
        Next::Same
    }
}

/// Takes a stream, and looks whether each item is the one that was to come. A stream that begins again at 0 is another.
#[derive(Default)]
pub struct Drain {
    taken: u64,
    out_of_order: u64,
}

impl Actor for Drain {
    type Message = Item;

    fn receive(&mut self, ctx: &mut Context<Self>, item: &Archived<Item>) -> Next<Self> {
        let ArchivedItem { number, from, wants_progress, .. } = item;
        let number = number.to_native();
        if number == 0 {
            *self = Drain::default();
        }
        self.out_of_order += u64::from(number != self.taken);
        self.taken += 1;
        if *wants_progress {
            let progress = Progress { taken: self.taken, out_of_order: self.out_of_order };
            ctx.tell(*from, &progress);
        }
        Next::Same
    }
}
