// `savina-banking`: transfers between accounts, each of which does one at a time.
//
// The account that pays requests the deposit and awaits the confirmation: CAF gives it nothing else meanwhile. Money
// goes to accounts of a higher number, so nobody waits in a circle.

#include "programs.hpp"
#include "random.hpp"

using namespace caf;

namespace {

struct account_state {
    uint64_t balance = BANKING_INITIAL_BALANCE;
    actor teller;
};

behavior account(stateful_actor<account_state>* self, const actor& teller) {
    self->state.teller = teller;
    return {
        [=](transfer_atom, uint64_t amount, const actor& destination) {
            self->state.balance -= amount;
            self->request(destination, infinite, deposit_atom::value, amount).await([=] {
                self->send(self->state.teller, confirm_atom::value);
            });
        },
        [=](deposit_atom, uint64_t amount) { self->state.balance += amount; },
        [=](close_atom) {
            self->quit();
            return self->state.balance;
        },
    };
}

struct teller_state {
    std::vector<actor> accounts;
    random_numbers random{0};
    actor starter;
    uint64_t sent = 0;
    uint64_t confirmed = 0;
    uint64_t closed = 0;
    uint64_t balance = 0;
};

void send_batch(stateful_actor<teller_state>* self) {
    teller_state& state = self->state;
    uint64_t end = std::min(state.sent + BANKING_BATCH, BANKING_TRANSACTIONS);
    for (; state.sent < end; ++state.sent) {
        uint64_t source = state.random.below(BANKING_SOURCES);
        uint64_t destination = source + 1 + state.random.below(BANKING_ACCOUNTS - 1 - source);
        uint64_t amount = 1 + state.random.below(BANKING_AMOUNT_MOST);
        self->send(state.accounts[source], transfer_atom::value, amount,
                   state.accounts[destination]);
    }
}

behavior teller(stateful_actor<teller_state>* self) {
    return {
        [=](confirm_atom) {
            teller_state& state = self->state;
            if (++state.confirmed == BANKING_TRANSACTIONS)
                for (const actor& one : state.accounts)
                    self->send(one, close_atom::value);
            else if (state.confirmed == state.sent)
                send_batch(self);
        },
        // The balance of an account that is closed.
        [=](uint64_t balance) {
            teller_state& state = self->state;
            state.balance += balance;
            if (++state.closed == BANKING_ACCOUNTS) {
                bool kept = state.balance == BANKING_ACCOUNTS * BANKING_INITIAL_BALANCE;
                // Money that was lost or made shows as a sum that is refused.
                self->send(state.starter, kept ? state.confirmed : uint64_t{0});
                self->quit();
            }
        },
        [=](begin_atom, uint64_t iteration) {
            teller_state& state = self->state;
            state.starter = sender_of(self);
            state.random = random_numbers{iteration};
            for (uint64_t count = 0; count < BANKING_ACCOUNTS; ++count)
                state.accounts.push_back(self->spawn<lazy_init>(account, actor{self}));
            send_batch(self);
        },
    };
}

} // namespace

uint64_t banking_iteration(scoped_actor& main, uint64_t number) {
    main->send(main->spawn(teller), begin_atom::value, number);
    return await_result(main);
}
