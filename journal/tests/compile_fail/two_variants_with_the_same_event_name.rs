use mainspring_journal::{event, events};

#[event(name = "account.closed", version = 1)]
struct Closed;

#[event(name = "account.closed", version = 2)]
struct ClosedAgain;

#[events]
enum AccountEvent {
    Closed(Closed),
    ClosedAgain(ClosedAgain),
}

fn main() {}
