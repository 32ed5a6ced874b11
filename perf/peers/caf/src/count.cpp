// `savina-count`: a producer floods a counter, then asks for the count.
//
// It sends them in batches and goes on by a message to itself; the scheduler lets it handle a limited number of those
// before the counter runs, so that memory stays bounded.

#include "programs.hpp"

using namespace caf;

namespace {

constexpr uint64_t BATCH = 256;

struct counter_state {
    uint64_t count = 0;
};

behavior counter(stateful_actor<counter_state>* self) {
    return {
        [=](increment_atom) { ++self->state.count; },
        [=](total_atom) { return self->state.count; },
    };
}

struct producer_state {
    actor counting;
    actor starter;
    uint64_t left = COUNT_MESSAGES;
};

void produce(stateful_actor<producer_state>* self) {
    producer_state& state = self->state;
    uint64_t batch = std::min(BATCH, state.left);
    state.left -= batch;
    for (; batch > 0; --batch)
        self->send(state.counting, increment_atom::value);
    if (state.left > 0)
        self->send(self, go_on_atom::value);
    else
        self->send(state.counting, total_atom::value);
}

behavior producer(stateful_actor<producer_state>* self) {
    self->state.counting = self->spawn(counter);
    return {
        [=](go_on_atom) { produce(self); },
        [=](begin_atom) {
            self->state.starter = sender_of(self);
            produce(self);
        },
        // The counter's count.
        [=](uint64_t count) {
            self->send(self->state.starter, count);
            self->send_exit(self->state.counting, exit_reason::user_shutdown);
            self->quit();
        },
    };
}

} // namespace

uint64_t count_iteration(scoped_actor& main, uint64_t) {
    main->send(main->spawn(producer), begin_atom::value);
    return await_result(main);
}
