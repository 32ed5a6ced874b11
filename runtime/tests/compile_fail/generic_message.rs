use mainspring::prelude::*;

#[message]
struct Envelope<T> {
    content: T,
}

fn main() {}
