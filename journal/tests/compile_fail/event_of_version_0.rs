use mainspring_journal::event;

#[event(name = "account.deposited", version = 0)]
struct Deposited {
    amount: u64,
}

fn main() {}
