use std::collections::HashMap;

use mainspring::prelude::*;

#[message]
struct Prices {
    by_symbol: HashMap<String, u64>,
}

#[message]
struct Position {
    index: usize,
}

fn main() {}
