use mainspring_journal::{event, events};

#[event(name = "account.closed", version = 2)]
struct Closed;

#[event(name = "account.closed", version = 1)]
struct ClosedV1;

#[event(name = "account.closed", version = 1)]
struct ClosedOnce;

#[events(upcast(ClosedV1 => |_| None, ClosedOnce => |_| None))]
enum AccountEvent {
    Closed(Closed),
}

fn main() {}
