use mainspring_journal::event;

#[event(name = "account.deposited", version = 1)]
struct Deposited<T> {
    amount: T,
}

fn main() {}
