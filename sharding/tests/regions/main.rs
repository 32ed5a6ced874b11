//! Regions on the simulator: entities that start on demand, stop, fail and move, told as scenarios.
#![forbid(unsafe_code)]

mod cast;

mod bad_input;
mod bounds;
mod delivery;
mod failures;
mod loads;
mod moves;
mod restarts;
mod storms;
