use mainspring_journal::{event, events};

#[event(name = "account.closed", version = 2)]
struct Closed;

#[event(name = "account.closed", version = 1)]
struct ClosedV1;

#[events(upcast(ClosedV1 => |_| [Closed]))]
enum AccountEvent {
    Closed(Closed),
}

fn main() {}
