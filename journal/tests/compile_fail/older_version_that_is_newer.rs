use mainspring_journal::state;

#[state(name = "account", version = 1, upcast(AccountV2 => older))]
struct Account {
    balance: u64,
}

#[state(name = "account", version = 2)]
struct AccountV2 {
    balance: u64,
}

fn older(state: &mainspring::Archived<AccountV2>) -> Account {
    Account { balance: state.balance.to_native() }
}

fn main() {}
