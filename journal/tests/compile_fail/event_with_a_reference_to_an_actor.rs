use mainspring::ActorRef;
use mainspring_journal::event;

#[event(name = "account.deposited", version = 1)]
struct Deposited {
    by: ActorRef<u64>,
}

fn main() {}
