use mainspring_journal::event;

#[event(name = "account.deposited")]
struct Deposited {
    amount: u64,
}

fn main() {}
