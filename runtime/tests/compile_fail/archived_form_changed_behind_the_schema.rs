use mainspring::prelude::*;

struct Wrapper;

#[message]
struct Order {
    #[rkyv(with = Wrapper)]
    id: u64,
}

#[message]
#[rkyv(remote = Order)]
struct Copy {
    id: u64,
}

#[message]
struct Conditional {
    #[cfg(feature = "extra")]
    extra: u64,
}

#[message(version = 2)]
struct Versioned;

#[message]
enum Never {}

fn main() {}
