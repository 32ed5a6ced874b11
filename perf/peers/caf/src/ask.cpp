// `ask-same-core`: one actor asks another for numbers, by a request with a deadline.

#include "programs.hpp"

using namespace caf;

namespace {

constexpr std::chrono::seconds DEADLINE{1};

behavior answerer() {
    return {
        [](number_atom, uint64_t number) { return number; },
    };
}

struct asker_state {
    actor answering;
    actor starter;
    uint64_t questions = 0;
    uint64_t answers = 0;
    uint64_t sum = 0;
};

void ask_next(stateful_actor<asker_state>* self) {
    asker_state& state = self->state;
    self->request(state.answering, DEADLINE, number_atom::value, state.answers)
        .then([=](uint64_t answer) {
            asker_state& then = self->state;
            then.sum += answer;
            if (++then.answers < then.questions)
                ask_next(self);
            else
                self->send(then.starter, then.sum);
        });
}

behavior asker(stateful_actor<asker_state>* self) {
    self->state.answering = self->spawn(answerer);
    return {
        [=](begin_atom, uint64_t questions) {
            asker_state& state = self->state;
            state.starter = sender_of(self);
            state.questions = questions;
            state.answers = state.sum = 0;
            ask_next(self);
        },
    };
}

} // namespace

section ask_section(scoped_actor& main) {
    actor asking = main->spawn(asker);
    return [&main, asking](uint64_t questions) {
        main->send(asking, begin_atom::value, questions);
        return await_result(main);
    };
}
