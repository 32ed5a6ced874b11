// `savina-chameneos`: creatures meet in a mall and change their colours.

#include "programs.hpp"

using namespace caf;

namespace {

struct mall_state {
    actor starter;
    actor waiting;
    // Meetings until it closes.
    uint64_t open = CHAMENEOS_MEETINGS;
    uint64_t left = 0;
    uint64_t met = 0;
};

// Colours are 0, 1 and 2, so two different ones and the third add up to 3.
uint64_t complementary(uint64_t one, uint64_t other) {
    return one == other ? one : 3 - one - other;
}

struct creature_state {
    actor mall;
    uint64_t colour = 0;
    uint64_t meetings = 0;
};

void ask_for_a_partner(stateful_actor<creature_state>* self) {
    self->send(self->state.mall, request_atom::value, self->state.colour);
}

behavior creature(stateful_actor<creature_state>* self, const actor& mall, uint64_t colour) {
    self->state.mall = mall;
    self->state.colour = colour;
    ask_for_a_partner(self);
    return {
        [=](partner_atom, const actor& other, uint64_t other_colour) {
            creature_state& state = self->state;
            state.colour = complementary(state.colour, other_colour);
            ++state.meetings;
            self->send(other, change_atom::value, state.colour);
            ask_for_a_partner(self);
        },
        [=](change_atom, uint64_t colour) {
            self->state.colour = colour;
            ++self->state.meetings;
            ask_for_a_partner(self);
        },
        [=](leave_atom) {
            self->send(self->state.mall, left_atom::value, self->state.meetings);
            self->quit();
        },
    };
}

behavior mall(stateful_actor<mall_state>* self) {
    return {
        [=](request_atom, uint64_t colour) {
            mall_state& state = self->state;
            actor asking = sender_of(self);
            if (state.open == 0) {
                self->send(asking, leave_atom::value);
            } else if (state.waiting) {
                --state.open;
                self->send(state.waiting, partner_atom::value, std::move(asking), colour);
                state.waiting = nullptr;
            } else {
                state.waiting = std::move(asking);
            }
        },
        [=](left_atom, uint64_t meetings) {
            mall_state& state = self->state;
            state.met += meetings;
            if (++state.left == CHAMENEOS_CREATURES) {
                self->send(state.starter, state.met);
                self->quit();
            }
        },
        [=](begin_atom) {
            self->state.starter = sender_of(self);
            for (uint64_t number = 0; number < CHAMENEOS_CREATURES; ++number)
                self->spawn(creature, actor{self}, number % 3);
        },
    };
}

} // namespace

uint64_t chameneos_iteration(scoped_actor& main, uint64_t) {
    main->send(main->spawn(mall), begin_atom::value);
    return await_result(main);
}
