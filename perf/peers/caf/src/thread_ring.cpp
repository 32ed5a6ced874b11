// `savina-thread-ring`: a token goes round a ring of actors.

#include "programs.hpp"

using namespace caf;

namespace {

struct node_state {
    actor next;
    actor starter;
    uint64_t hops = 0;
};

behavior node(stateful_actor<node_state>* self, const actor& next) {
    self->state.next = next;
    return {
        [=](token_atom, uint64_t hops_left) {
            node_state& state = self->state;
            ++state.hops;
            if (hops_left > 1)
                self->send(state.next, token_atom::value, hops_left - 1);
            else
                self->send(state.starter, left_atom::value);
        },
        // Closes the ring and sends the token on its way. The hops make whole rounds, so they end here.
        [=](begin_atom, const actor& first) {
            self->state.starter = sender_of(self);
            self->state.next = first;
            self->send(first, token_atom::value, THREAD_RING_HOPS);
        },
        [=](leave_atom) {
            self->quit();
            return self->state.hops;
        },
    };
}

} // namespace

uint64_t thread_ring_iteration(scoped_actor& main, uint64_t) {
    std::vector<actor> nodes{main->spawn(node, actor{})};
    while (nodes.size() < THREAD_RING_ACTORS)
        nodes.push_back(main->spawn(node, nodes.back()));
    main->send(nodes.front(), begin_atom::value, nodes.back());
    main->receive([](left_atom) {});
    for (const actor& one : nodes)
        main->send(one, leave_atom::value);
    uint64_t hops = 0;
    for (size_t count = 0; count < nodes.size(); ++count)
        hops += await_result(main);
    return hops;
}
