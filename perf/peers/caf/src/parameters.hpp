// The parameters of the programs: the numbers of ../contest/src/program.rs and of ../contest/src/chat.rs.
#pragma once

#include <cstdint>

constexpr uint64_t WARM_UP_MESSAGES = 50'000;
constexpr uint64_t TELL_ACTORS = 1'000;
constexpr uint64_t TELL_BATCH = 256;
constexpr uint64_t PING_PONG_PINGS = 40'000;
constexpr uint64_t COUNT_MESSAGES = 1'000'000;
constexpr uint64_t FORK_JOIN_ACTORS = 60;
constexpr uint64_t FORK_JOIN_MESSAGES = 10'000;
constexpr uint64_t FORK_JOIN_CREATED = 40'000;
constexpr double FORK_JOIN_ANGLE = 37.2;
constexpr uint64_t THREAD_RING_ACTORS = 100;
constexpr uint64_t THREAD_RING_HOPS = 100'000;
constexpr uint64_t CHAMENEOS_CREATURES = 100;
constexpr uint64_t CHAMENEOS_MEETINGS = 200'000;
constexpr uint64_t BIG_ACTORS = 120;
constexpr uint64_t BIG_PINGS = 20'000;
constexpr uint64_t BANKING_ACCOUNTS = 1'000;
constexpr uint64_t BANKING_SOURCES = 800;
constexpr uint64_t BANKING_AMOUNT_MOST = 100;
constexpr uint64_t BANKING_BATCH = 256;
constexpr uint64_t BANKING_TRANSACTIONS = 50'000;
constexpr uint64_t BANKING_INITIAL_BALANCE = 1'000'000;
constexpr uint64_t CHAT_CLIENTS = 1'024;
constexpr uint64_t CHAT_DIRECTORIES = 8;
constexpr uint64_t CHAT_TURNS = 20;
constexpr uint64_t CHAT_BEFRIEND_PERCENT = 10;
constexpr uint64_t CHAT_COMPUTE_PERCENT = 50;
constexpr uint64_t CHAT_POST_PERCENT = 80;
constexpr uint64_t CHAT_LEAVE_PERCENT = 25;
constexpr uint64_t CHAT_INVITE_PERCENT = 25;
constexpr uint64_t CHAT_COMPUTE_STEPS = 1'000;
