// `ping-pong-same-core` and `savina-ping-pong`: a number goes to another actor and comes back.

#include "programs.hpp"

using namespace caf;

namespace {

struct play {
    actor ponger;
    actor starter;
    uint64_t pings = 0;
    uint64_t pongs = 0;
    uint64_t sum = 0;
};

// Answers with the number itself: what a handler returns goes to the sender.
behavior ponger() {
    return {
        [](ping_atom, uint64_t number) { return number; },
    };
}

behavior pinger(stateful_actor<play>* self) {
    self->state.ponger = self->spawn(ponger);
    return {
        [=](uint64_t number) {
            play& state = self->state;
            state.sum += number;
            if (++state.pongs < state.pings)
                self->send(state.ponger, ping_atom::value, state.pongs);
            else
                self->send(state.starter, state.pongs, state.sum);
        },
        [=](begin_atom, uint64_t pings) {
            play& state = self->state;
            state.starter = sender_of(self);
            state.pings = pings;
            state.pongs = state.sum = 0;
            self->send(state.ponger, ping_atom::value, uint64_t{0});
        },
        [=](close_atom) {
            self->send_exit(self->state.ponger, exit_reason::user_shutdown);
            self->quit();
        },
    };
}

struct score {
    uint64_t pongs;
    uint64_t sum;
};

score play_with(scoped_actor& main, const actor& with, uint64_t pings) {
    score found{};
    main->send(with, begin_atom::value, pings);
    main->receive([&](uint64_t pongs, uint64_t sum) { found = {pongs, sum}; });
    return found;
}

} // namespace

section ping_pong_section(scoped_actor& main) {
    actor pinging = main->spawn(pinger);
    return [&main, pinging](uint64_t messages) {
        return play_with(main, pinging, messages / 2).sum;
    };
}

uint64_t ping_pong_iteration(scoped_actor& main, uint64_t) {
    actor pinging = main->spawn(pinger);
    uint64_t pongs = play_with(main, pinging, PING_PONG_PINGS).pongs;
    main->send(pinging, close_atom::value);
    return pongs;
}
