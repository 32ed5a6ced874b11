// `tell-same-core`: one actor tells numbers to a thousand others in turn. It handles one message a turn, so that the
// message to itself lets the receivers run.

#include "programs.hpp"

using namespace caf;

namespace {

struct receiver_state {
    uint64_t sum = 0;
};

behavior receiver(stateful_actor<receiver_state>* self) {
    return {
        [=](number_atom, uint64_t number) { self->state.sum += number; },
        [=](total_atom) { return std::exchange(self->state.sum, 0); },
    };
}

struct teller_state {
    std::vector<actor> receivers;
    size_t next = 0;
    uint64_t number = 0;
    uint64_t messages = 0;
    uint64_t totals = 0;
    uint64_t sum = 0;
    actor starter;
};

void tell_batch(stateful_actor<teller_state>* self) {
    teller_state& state = self->state;
    if (state.number == state.messages) {
        for (const actor& one : state.receivers)
            self->send(one, total_atom::value);
        return;
    }
    uint64_t end = std::min(state.number + TELL_BATCH, state.messages);
    for (; state.number < end; ++state.number) {
        self->send(state.receivers[state.next], number_atom::value, state.number);
        if (++state.next == state.receivers.size())
            state.next = 0;
    }
    self->send(self, go_on_atom::value);
}

behavior teller(stateful_actor<teller_state>* self) {
    for (uint64_t count = 0; count < TELL_ACTORS; ++count)
        self->state.receivers.push_back(self->spawn(receiver));
    return {
        [=](go_on_atom) { tell_batch(self); },
        [=](begin_atom, uint64_t messages) {
            teller_state& state = self->state;
            state.starter = sender_of(self);
            state.messages = messages;
            state.number = state.next = state.totals = state.sum = 0;
            tell_batch(self);
        },
        // A receiver's total.
        [=](uint64_t total) {
            teller_state& state = self->state;
            state.sum += total;
            if (++state.totals == TELL_ACTORS)
                self->send(state.starter, state.sum);
        },
    };
}

} // namespace

section tell_section(scoped_actor& main) {
    actor telling = main->spawn(teller);
    return [&main, telling](uint64_t messages) {
        main->send(telling, begin_atom::value, messages);
        return await_result(main);
    };
}
