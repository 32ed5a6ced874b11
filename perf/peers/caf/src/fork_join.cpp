// `savina-fork-join-throughput` and `savina-fork-join-create`: many messages to a few actors that compute, and one
// message each to many actors. The sender sends in batches and goes on by a message to itself; the scheduler lets it
// handle a limited number of those before the others run, so that messages stay in the cache.

#include <cmath>

#include "programs.hpp"

using namespace caf;

namespace {

// Messages that each worker is sent in a batch.
constexpr uint64_t MESSAGES_AT_ONCE = 1;
// Actors that are made in a batch.
constexpr uint64_t CREATED_AT_ONCE = 16;

// The square of a sine, which the compiler may neither leave out nor compute beforehand.
void compute() {
    volatile double angle = FORK_JOIN_ANGLE;
    double sine = std::sin(angle);
    volatile double square = sine * sine;
    static_cast<void>(square);
}

struct worker_state {
    uint64_t handled = 0;
};

behavior worker(stateful_actor<worker_state>* self) {
    return {
        [=](work_atom) {
            compute();
            ++self->state.handled;
        },
        [=](total_atom) {
            self->quit();
            return self->state.handled;
        },
    };
}

struct forker_state {
    std::vector<actor> workers;
    uint64_t messages_left = FORK_JOIN_MESSAGES;
    uint64_t answers_left = FORK_JOIN_ACTORS;
    uint64_t sum = 0;
    actor starter;
};

void send_work(stateful_actor<forker_state>* self) {
    forker_state& state = self->state;
    uint64_t batch = std::min(MESSAGES_AT_ONCE, state.messages_left);
    state.messages_left -= batch;
    for (; batch > 0; --batch)
        for (const actor& one : state.workers)
            self->send(one, work_atom::value);
    if (state.messages_left > 0)
        self->send(self, go_on_atom::value);
    else
        for (const actor& one : state.workers)
            self->send(one, total_atom::value);
}

behavior forker(stateful_actor<forker_state>* self) {
    for (uint64_t count = 0; count < FORK_JOIN_ACTORS; ++count)
        self->state.workers.push_back(self->spawn(worker));
    return {
        [=](go_on_atom) { send_work(self); },
        [=](begin_atom) {
            self->state.starter = sender_of(self);
            send_work(self);
        },
        // What a worker has handled.
        [=](uint64_t handled) {
            forker_state& state = self->state;
            state.sum += handled;
            if (--state.answers_left == 0) {
                self->send(state.starter, state.sum);
                self->quit();
            }
        },
    };
}

behavior once(event_based_actor* self) {
    return {
        [=](work_atom) {
            compute();
            self->quit();
            return act_done_atom::value;
        },
    };
}

struct creator_state {
    uint64_t created = 0;
    uint64_t did = 0;
    actor starter;
};

void create(stateful_actor<creator_state>* self) {
    creator_state& state = self->state;
    uint64_t end = std::min(state.created + CREATED_AT_ONCE, FORK_JOIN_CREATED);
    for (; state.created < end; ++state.created)
        self->send(self->spawn<lazy_init>(once), work_atom::value);
    if (state.created < FORK_JOIN_CREATED)
        self->send(self, go_on_atom::value);
}

behavior creator(stateful_actor<creator_state>* self) {
    return {
        [=](act_done_atom) {
            creator_state& state = self->state;
            if (++state.did == FORK_JOIN_CREATED) {
                self->send(state.starter, state.did);
                self->quit();
            }
        },
        [=](go_on_atom) { create(self); },
        [=](begin_atom) {
            self->state.starter = sender_of(self);
            create(self);
        },
    };
}

} // namespace

uint64_t fork_join_throughput_iteration(scoped_actor& main, uint64_t) {
    main->send(main->spawn(forker), begin_atom::value);
    return await_result(main);
}

uint64_t fork_join_create_iteration(scoped_actor& main, uint64_t) {
    main->send(main->spawn(creator), begin_atom::value);
    return await_result(main);
}
