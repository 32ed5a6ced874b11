//! Events and states as types: what is written is read again, and what was laid out otherwise is refused.

mod account;
mod changed_layouts;
mod damage;
mod round_trips;
mod upcasting;
