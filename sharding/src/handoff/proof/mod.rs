//! The proof of the hand-off: the same regions as in production, under every order of events as far as a model goes,
//! under thousands of seeded storms, and with each guard switched off to see that the proof can fail.

mod board;
mod canonical;
mod endings;
mod exhaustive;
mod model;
mod mutations;
mod simulation;
