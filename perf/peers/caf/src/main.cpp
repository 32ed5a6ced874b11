// The command line of this contestant, its programs and its clock.
//
// Exit code 0 when the round was done, 1 when the work did not come to what it should, 2 when the command line asks
// for something that is not there.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "programs.hpp"

namespace {

// What the work comes to: the sum of the numbers from 0 up, one for so many messages; or so much an iteration.
struct comes_to {
    uint64_t messages_a_number;
    uint64_t an_iteration;
};

// Which actor is next. With one worker, work sharing lets them run in the order in which they were woken, so that
// messages gather; work stealing lets the last one run first, which has its message in the cache.
struct scheduling {
    bool shares_on_one_cpu = false;
    // An actor that has handled so many messages goes behind the others; 0 is no limit.
    int messages_a_turn = 0;
};

constexpr scheduling FLOODED{false, 64};
constexpr scheduling IN_TURN{true, 0};

struct program {
    const char* name;
    uint64_t messages_an_iteration;
    size_t cpus_most;
    comes_to sum;
    make_section make;
    iteration iterate;
    scheduling order;
};

program micro(const char* name, uint64_t messages, uint64_t messages_a_number, make_section make,
              scheduling order = {}) {
    return {name, messages, 1, {messages_a_number, 0}, make, nullptr, order};
}

program savina(const char* name, uint64_t messages, uint64_t sum, iteration iterate,
               scheduling order = {}) {
    return {name, messages, 2, {0, sum}, nullptr, iterate, order};
}

const std::vector<program> PROGRAMS{
    micro("ping-pong-same-core", 2, 2, ping_pong_section),
    micro("tell-same-core", TELL_BATCH, 1, tell_section, scheduling{true, 1}),
    micro("ask-same-core", 1, 1, ask_section),
    savina("savina-ping-pong", 2 * PING_PONG_PINGS, PING_PONG_PINGS, ping_pong_iteration),
    savina("savina-count", COUNT_MESSAGES, COUNT_MESSAGES, count_iteration, FLOODED),
    savina("savina-fork-join-throughput", FORK_JOIN_ACTORS * FORK_JOIN_MESSAGES,
           FORK_JOIN_ACTORS * FORK_JOIN_MESSAGES, fork_join_throughput_iteration, FLOODED),
    savina("savina-fork-join-create", FORK_JOIN_CREATED, FORK_JOIN_CREATED,
           fork_join_create_iteration, FLOODED),
    savina("savina-thread-ring", THREAD_RING_HOPS, THREAD_RING_HOPS, thread_ring_iteration),
    savina("savina-chameneos", CHAMENEOS_MEETINGS, 2 * CHAMENEOS_MEETINGS, chameneos_iteration, IN_TURN),
    savina("savina-big", 2 * BIG_ACTORS * BIG_PINGS, BIG_ACTORS * BIG_PINGS, big_iteration, IN_TURN),
    savina("savina-banking", BANKING_TRANSACTIONS, BANKING_TRANSACTIONS, banking_iteration, IN_TURN),
    savina("savina-chat", CHAT_CLIENTS * CHAT_TURNS, CHAT_CLIENTS * CHAT_TURNS, chat_iteration),
};

std::optional<uint64_t> number_in(std::string_view text) {
    uint64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole ? std::optional{number} : std::nullopt;
}

// How many cores a list such as 0,1 names; 0 when it is no list.
size_t cores_in(std::string_view list) {
    size_t count = 0;
    while (true) {
        size_t comma = list.find(',');
        if (!number_in(list.substr(0, comma)))
            return 0;
        ++count;
        if (comma == std::string_view::npos)
            return count;
        list.remove_prefix(comma + 1);
    }
}

int refuse(const std::string& why, int code) {
    std::cerr << why << '\n';
    return code;
}

struct outcome {
    int64_t elapsed_ns;
    uint64_t sum;
};

template <class Work>
outcome timed(Work work) {
    auto start = std::chrono::steady_clock::now();
    uint64_t sum = work();
    auto elapsed = std::chrono::steady_clock::now() - start;
    return {std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count(), sum};
}

outcome measure(const program& what, uint64_t iterations, caf::scoped_actor& main) {
    if (what.make != nullptr) {
        section run = what.make(main);
        run(WARM_UP_MESSAGES);
        return timed([&] { return run(iterations * what.messages_an_iteration); });
    }
    what.iterate(main, 0);
    return timed([&] {
        uint64_t sum = 0;
        for (uint64_t number = 1; number <= iterations; ++number)
            sum += what.iterate(main, number);
        return sum;
    });
}

int round(const program& what, uint64_t asked, size_t cores) {
    uint64_t size = what.messages_an_iteration;
    uint64_t iterations = std::max<uint64_t>(1, asked / size + (asked % size != 0));
    uint64_t messages = iterations * size;
    caf::actor_system_config config;
    config.set("scheduler.max-threads", cores);
    if (cores == 1 && what.order.shares_on_one_cpu)
        config.set("scheduler.policy", caf::atom("sharing"));
    if (what.order.messages_a_turn != 0)
        config.set("scheduler.max-throughput", what.order.messages_a_turn);
    caf::actor_system system{config};
    caf::scoped_actor main{system};
    outcome found = measure(what, iterations, main);
    uint64_t numbers = what.sum.messages_a_number == 0 ? 0 : messages / what.sum.messages_a_number;
    uint64_t expected = what.make != nullptr ? numbers * (numbers - 1) / 2
                                             : iterations * what.sum.an_iteration;
    if (found.sum != expected)
        return refuse("the work came to " + std::to_string(found.sum) + ", expected "
                          + std::to_string(expected),
                      1);
    std::cout << "messages=" << messages << " elapsed_ns=" << found.elapsed_ns
              << " sum=" << found.sum << '\n';
    return 0;
}

} // namespace

int main(int count, char** words) {
    std::vector<std::string_view> arguments(words + 1, words + count);
    if (arguments == std::vector<std::string_view>{"programs"}) {
        for (const program& one : PROGRAMS)
            std::cout << one.name << '\n';
        return 0;
    }
    bool is_round = arguments.size() == 6 && arguments[0] == "round"
                    && arguments[2] == "--messages" && arguments[4] == "--cores";
    std::optional<uint64_t> messages = is_round ? number_in(arguments[3]) : std::nullopt;
    size_t cores = is_round ? cores_in(arguments[5]) : 0;
    if (!messages || cores == 0)
        return refuse("write: programs | round PROGRAM --messages N --cores 0,1", 2);
    std::string name{arguments[1]};
    for (const program& one : PROGRAMS) {
        if (one.name != name)
            continue;
        if (cores > one.cpus_most)
            return refuse(std::to_string(cores) + " CPUs given, \"" + name
                              + "\" makes use of at most " + std::to_string(one.cpus_most),
                          2);
        return round(one, *messages, cores);
    }
    return refuse("\"" + name + "\" is none of this contestant's programs; `programs` lists them",
                  2);
}
