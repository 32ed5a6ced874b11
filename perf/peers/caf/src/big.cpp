// `savina-big`: every actor pings others, drawn at random.

#include <memory>

#include "programs.hpp"
#include "random.hpp"

using namespace caf;

namespace {

using neighbours = std::vector<actor>;

struct neighbour_state {
    std::shared_ptr<const neighbours> all;
    actor sink;
    random_numbers random{0};
    uint64_t pongs = 0;
};

void ping(stateful_actor<neighbour_state>* self) {
    neighbour_state& state = self->state;
    self->send((*state.all)[state.random.below(BIG_ACTORS)], ping_atom::value);
}

behavior neighbour(stateful_actor<neighbour_state>* self, const actor& sink, uint64_t seed) {
    self->state.sink = sink;
    self->state.random = random_numbers{seed};
    return {
        // Goes back to the sender.
        [](ping_atom) { return pong_atom::value; },
        [=](pong_atom) {
            neighbour_state& state = self->state;
            if (++state.pongs < BIG_PINGS)
                ping(self);
            else
                self->send(state.sink, left_atom::value, state.pongs);
        },
        [=](begin_atom, const std::shared_ptr<const neighbours>& all) {
            self->state.all = all;
            ping(self);
        },
    };
}

struct sink_state {
    std::shared_ptr<const neighbours> all;
    actor starter;
    uint64_t left = 0;
    uint64_t pongs = 0;
};

void start(stateful_actor<sink_state>* self, uint64_t iteration) {
    auto all = std::make_shared<neighbours>();
    for (uint64_t number = 0; number < BIG_ACTORS; ++number)
        all->push_back(self->spawn(neighbour, actor{self}, iteration * BIG_ACTORS + number));
    self->state.all = all;
    for (const actor& one : *all)
        self->send(one, begin_atom::value, self->state.all);
}

behavior sink(stateful_actor<sink_state>* self) {
    return {
        [=](left_atom, uint64_t pongs) {
            sink_state& state = self->state;
            state.pongs += pongs;
            if (++state.left == BIG_ACTORS) {
                for (const actor& one : *state.all)
                    self->send_exit(one, exit_reason::user_shutdown);
                self->send(state.starter, state.pongs);
                self->quit();
            }
        },
        [=](begin_atom, uint64_t iteration) {
            self->state.starter = sender_of(self);
            start(self, iteration);
        },
    };
}

} // namespace

// They stay in one process: nothing is written for a network.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::shared_ptr<const neighbours>)

uint64_t big_iteration(scoped_actor& main, uint64_t number) {
    main->send(main->spawn(sink), begin_atom::value, number);
    return await_result(main);
}
