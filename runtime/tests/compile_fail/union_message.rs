use mainspring::prelude::*;

#[message]
union Bits {
    number: u32,
    letter: char,
}

fn main() {}
