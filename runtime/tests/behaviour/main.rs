//! How actors behave, told as scenarios on the simulator: one file a topic.
#![forbid(unsafe_code)]

mod actors;

mod asks;
mod behaviors;
mod dead_letters;
mod enclosed;
mod isolated;
mod local_payloads;
mod memory;
mod names;
mod order;
mod peers;
mod random_programs;
mod references;
mod replay;
mod restarts;
mod spawning;
mod stopping;
mod tasks;
mod testkit;
mod timers;
mod turns;
mod watching;
