// `savina-chat`: clients of a chat program make chats, write to them, invite friends and leave.
//
// An invariant of the program keeps every message from meeting a chat that has stopped: a client acts once a turn,
// a turn ends when all its deliveries and invitations are done, and a chat stops when its last member has left.

#include <algorithm>

#include "programs.hpp"
#include "random.hpp"

using namespace caf;

namespace {

struct chat_state {
    actor accumulator;
    std::vector<actor> members;
};

behavior chat(stateful_actor<chat_state>* self, const actor& accumulator, const actor& first) {
    self->state.accumulator = accumulator;
    self->state.members.push_back(first);
    return {
        [=](post_atom) {
            chat_state& state = self->state;
            self->send(state.accumulator, expect_atom::value, uint64_t{state.members.size()});
            for (const actor& member : state.members)
                self->send(member, deliver_atom::value);
            return forwarded_atom::value;
        },
        [=](leave_atom) {
            std::vector<actor>& members = self->state.members;
            members.erase(std::find(members.begin(), members.end(), sender_of(self)));
            if (members.empty())
                self->quit();
            return left_atom::value;
        },
        [=](join_atom) {
            self->state.members.push_back(sender_of(self));
            return joined_atom::value;
        },
    };
}

struct client_state {
    uint64_t id = 0;
    random_numbers random{0};
    actor accumulator;
    std::vector<actor> friends;
    std::vector<actor> chats;
    // The place of the chat that it is leaving.
    size_t leaving = 0;
};

using client_actor = stateful_actor<client_state>;

void compute(uint64_t client) {
    volatile uint64_t start = client | 1;
    uint64_t value = start;
    for (uint64_t step = 0; step < CHAT_COMPUTE_STEPS; ++step)
        value = value * 0x5851F42D4C957F2D + 0x14057B7EF767814F;
    volatile uint64_t end = value;
    static_cast<void>(end);
}

size_t any_chat(client_state& state) {
    return state.random.below(state.chats.size());
}

actor start_chat(client_actor* self) {
    return self->spawn<lazy_init>(chat, self->state.accumulator, actor{self});
}

void invite(client_actor* self) {
    client_state& state = self->state;
    state.chats.push_back(start_chat(self));
    if (!state.friends.empty()) {
        uint64_t invited = 1 + state.random.below(state.friends.size());
        self->send(state.accumulator, expect_atom::value, invited);
        std::vector<actor> drawn = state.friends;
        for (uint64_t place = 0; place < invited; ++place) {
            std::swap(drawn[place], drawn[place + state.random.below(drawn.size() - place)]);
            self->send(drawn[place], invite_atom::value, state.chats.back());
        }
    }
    self->send(state.accumulator, act_done_atom::value);
}

void act(client_actor* self) {
    client_state& state = self->state;
    if (state.chats.empty())
        state.chats.push_back(start_chat(self));
    if (state.random.chance(CHAT_COMPUTE_PERCENT)) {
        compute(state.id);
        self->send(state.accumulator, act_done_atom::value);
    } else if (state.random.chance(CHAT_POST_PERCENT)) {
        self->send(state.chats[any_chat(state)], post_atom::value);
    } else if (state.random.chance(CHAT_LEAVE_PERCENT)) {
        state.leaving = any_chat(state);
        self->send(state.chats[state.leaving], leave_atom::value);
    } else if (state.random.chance(CHAT_INVITE_PERCENT)) {
        invite(self);
    } else {
        self->send(state.accumulator, act_done_atom::value);
    }
}

void be_friends(client_state& state, const std::vector<actor>& clients) {
    uint64_t own_place = state.id % clients.size();
    for (uint64_t place = 0; place < clients.size(); ++place)
        if (place != own_place && state.random.chance(CHAT_BEFRIEND_PERCENT))
            state.friends.push_back(clients[place]);
}

behavior client(client_actor* self, uint64_t id, const actor& accumulator) {
    self->state.id = id;
    self->state.random = random_numbers{(id * 0x9E3779B97F4A7C15) ^ 0x5EED};
    self->state.accumulator = accumulator;
    return {
        [=](deliver_atom) { self->send(self->state.accumulator, delivered_atom::value); },
        [=](act_atom) { act(self); },
        [=](invite_atom, const actor& chat) { self->send(chat, join_atom::value); },
        [=](joined_atom) {
            self->state.chats.push_back(sender_of(self));
            self->send(self->state.accumulator, delivered_atom::value);
        },
        [=](forwarded_atom) { self->send(self->state.accumulator, act_done_atom::value); },
        [=](left_atom) {
            // Chats that it joined meanwhile stand behind this one.
            client_state& state = self->state;
            std::swap(state.chats[state.leaving], state.chats.back());
            state.chats.pop_back();
            self->send(state.accumulator, act_done_atom::value);
        },
        [=](befriend_atom, const std::vector<actor>& clients) { be_friends(self->state, clients); },
        [=](close_atom) {
            for (const actor& one : self->state.chats)
                self->send_exit(one, exit_reason::user_shutdown);
            self->quit();
        },
    };
}

struct directory_state {
    std::vector<actor> clients;
};

behavior directory(stateful_actor<directory_state>* self, uint64_t number,
                   const actor& accumulator) {
    uint64_t size = CHAT_CLIENTS / CHAT_DIRECTORIES;
    std::vector<actor>& clients = self->state.clients;
    for (uint64_t id = number * size; id < (number + 1) * size; ++id)
        clients.push_back(self->spawn<lazy_init>(client, id, accumulator));
    for (const actor& one : clients)
        self->send(one, befriend_atom::value, clients);
    return {
        [=](turn_atom) {
            for (const actor& one : self->state.clients)
                self->send(one, act_atom::value);
        },
        [=](close_atom) {
            for (const actor& one : self->state.clients)
                self->send(one, close_atom::value);
            self->quit();
        },
    };
}

struct accumulator_state {
    actor poker;
    uint64_t pending = 0;
    uint64_t acts = 0;
};

void one_less(stateful_actor<accumulator_state>* self) {
    accumulator_state& state = self->state;
    if (--state.pending == 0)
        self->send(state.poker, turn_atom::value, state.acts);
}

behavior accumulator(stateful_actor<accumulator_state>* self, const actor& poker) {
    self->state.poker = poker;
    return {
        [=](delivered_atom) { one_less(self); },
        [=](act_done_atom) {
            ++self->state.acts;
            one_less(self);
        },
        [=](expect_atom, uint64_t more) { self->state.pending += more; },
        [=](close_atom) { self->quit(); },
    };
}

struct poker_state {
    actor starter;
    actor accumulator;
    std::vector<actor> directories;
    uint64_t turns_left = CHAT_TURNS;
};

void next_turn(stateful_actor<poker_state>* self, uint64_t acts) {
    poker_state& state = self->state;
    if (state.turns_left-- > 0) {
        self->send(state.accumulator, expect_atom::value, CHAT_CLIENTS);
        for (const actor& one : state.directories)
            self->send(one, turn_atom::value);
        return;
    }
    for (const actor& one : state.directories)
        self->send(one, close_atom::value);
    self->send(state.accumulator, close_atom::value);
    self->send(state.starter, acts);
    self->quit();
}

behavior poker(stateful_actor<poker_state>* self) {
    return {
        [=](turn_atom, uint64_t acts) { next_turn(self, acts); },
        [=](begin_atom) {
            poker_state& state = self->state;
            state.starter = sender_of(self);
            state.accumulator = self->spawn(accumulator, actor{self});
            for (uint64_t number = 0; number < CHAT_DIRECTORIES; ++number)
                state.directories.push_back(self->spawn(directory, number, state.accumulator));
            next_turn(self, 0);
        },
    };
}

} // namespace

uint64_t chat_iteration(scoped_actor& main, uint64_t) {
    main->send(main->spawn(poker), begin_atom::value);
    return await_result(main);
}
