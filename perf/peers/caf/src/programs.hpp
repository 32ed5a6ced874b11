// What the files of this contestant give each other: the programs, and the atoms that name its messages.
#pragma once

#include <cstdint>
#include <functional>

#include <caf/all.hpp>

#include "parameters.hpp"

// A section sends so many messages and returns the sum; making it makes its actors. An iteration gets its number.
using section = std::function<uint64_t(uint64_t messages)>;
using make_section = section (*)(caf::scoped_actor& main);
using iteration = uint64_t (*)(caf::scoped_actor& main, uint64_t number);

section ping_pong_section(caf::scoped_actor& main);
section tell_section(caf::scoped_actor& main);
section ask_section(caf::scoped_actor& main);
uint64_t ping_pong_iteration(caf::scoped_actor& main, uint64_t number);
uint64_t count_iteration(caf::scoped_actor& main, uint64_t number);
uint64_t fork_join_throughput_iteration(caf::scoped_actor& main, uint64_t number);
uint64_t fork_join_create_iteration(caf::scoped_actor& main, uint64_t number);
uint64_t thread_ring_iteration(caf::scoped_actor& main, uint64_t number);
uint64_t chameneos_iteration(caf::scoped_actor& main, uint64_t number);
uint64_t big_iteration(caf::scoped_actor& main, uint64_t number);
uint64_t banking_iteration(caf::scoped_actor& main, uint64_t number);
uint64_t chat_iteration(caf::scoped_actor& main, uint64_t number);

// Waits for the message that ends a section or an iteration: what it came to.
inline uint64_t await_result(caf::scoped_actor& main) {
    uint64_t result = 0;
    main->receive([&](uint64_t found) { result = found; });
    return result;
}

// The actor that sent the message which is being handled.
template <class Self>
caf::actor sender_of(Self* self) {
    return caf::actor_cast<caf::actor>(self->current_sender());
}

using act_atom = caf::atom_constant<caf::atom("act")>;
using act_done_atom = caf::atom_constant<caf::atom("actdone")>;
using befriend_atom = caf::atom_constant<caf::atom("befriend")>;
using begin_atom = caf::atom_constant<caf::atom("begin")>;
using change_atom = caf::atom_constant<caf::atom("change")>;
using close_atom = caf::atom_constant<caf::atom("close")>;
using confirm_atom = caf::atom_constant<caf::atom("confirm")>;
using deliver_atom = caf::atom_constant<caf::atom("deliver")>;
using delivered_atom = caf::atom_constant<caf::atom("delivered")>;
using deposit_atom = caf::atom_constant<caf::atom("deposit")>;
using expect_atom = caf::atom_constant<caf::atom("expect")>;
using forwarded_atom = caf::atom_constant<caf::atom("forwarded")>;
using go_on_atom = caf::atom_constant<caf::atom("goon")>;
using increment_atom = caf::atom_constant<caf::atom("increment")>;
using invite_atom = caf::atom_constant<caf::atom("invite")>;
using join_atom = caf::atom_constant<caf::atom("join")>;
using joined_atom = caf::atom_constant<caf::atom("joined")>;
using leave_atom = caf::atom_constant<caf::atom("leave")>;
using left_atom = caf::atom_constant<caf::atom("left")>;
using number_atom = caf::atom_constant<caf::atom("number")>;
using partner_atom = caf::atom_constant<caf::atom("partner")>;
using ping_atom = caf::atom_constant<caf::atom("ping")>;
using pong_atom = caf::atom_constant<caf::atom("pong")>;
using post_atom = caf::atom_constant<caf::atom("post")>;
using request_atom = caf::atom_constant<caf::atom("request")>;
using token_atom = caf::atom_constant<caf::atom("token")>;
using total_atom = caf::atom_constant<caf::atom("total")>;
using transfer_atom = caf::atom_constant<caf::atom("transfer")>;
using turn_atom = caf::atom_constant<caf::atom("turn")>;
using work_atom = caf::atom_constant<caf::atom("work")>;
