use mainspring_journal::event;

#[event(version = 1)]
struct Deposited {
    amount: u64,
}

fn main() {}
