use mainspring::prelude::*;

#[message]
fn deposit(_amount: u64) {}

fn main() {}
