use mainspring_journal::events;

#[mainspring::message]
struct Closed;

#[events]
enum AccountEvent {
    Closed(Closed),
}

fn main() {}
