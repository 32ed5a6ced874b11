use mainspring_journal::{event, events};

#[event(name = "account.closed", version = 1)]
struct Closed;

#[events]
enum AccountEvent {
    Closed(Closed, u64),
}

fn main() {}
