%% The command line of this contestant, its programs and its clock.
%%
%% contestant:main/0 does what the words after `-extra` ask for and ends the emulator: 0 when it was done, 1 when the
%% work did not come to what it should, 2 when the command line asks for something that is not there.
-module(contestant).
-export([main/0]).
-include("parameters.hrl").

main() ->
    {Text, Code} = execute(init:get_plain_arguments()),
    Device = case Code of 0 -> standard_io; _ -> standard_error end,
    io:put_chars(Device, [Text, $\n]),
    halt(Code).

%% {name, messages of an iteration, most CPUs, what it comes to, how a round is done}
programs() ->
    [{"ping-pong-same-core", 2, 1, {numbers, 2}, {section, fun ping_pong:section/1}},
     {"tell-same-core", ?TELL_BATCH, 1, {numbers, 1}, {section, fun tell:section/1}},
     {"ask-same-core", 1, 1, {numbers, 1}, {section, fun ask:section/1}},
     {"remote-ping-pong", 2, 2, {numbers, 2},
      {nodes, ?REMOTE_PING_PONG_WARM_UP, fun remote:ping_pong/1}},
     {"remote-stream", 1, 2, {numbers, 1}, {nodes, ?REMOTE_STREAM_WARM_UP, fun remote:stream/1}},
     savina("savina-ping-pong", 2 * ?PING_PONG_PINGS, ?PING_PONG_PINGS, fun ping_pong:iteration/1),
     savina("savina-count", ?COUNT_MESSAGES, ?COUNT_MESSAGES, fun count:iteration/1),
     savina("savina-fork-join-throughput", ?FORK_JOIN_ACTORS * ?FORK_JOIN_MESSAGES,
            ?FORK_JOIN_ACTORS * ?FORK_JOIN_MESSAGES, fun fork_join:throughput/1),
     savina("savina-fork-join-create", ?FORK_JOIN_CREATED, ?FORK_JOIN_CREATED,
            fun fork_join:create/1),
     savina("savina-thread-ring", ?THREAD_RING_HOPS, ?THREAD_RING_HOPS,
            fun thread_ring:iteration/1),
     savina("savina-chameneos", ?CHAMENEOS_MEETINGS, 2 * ?CHAMENEOS_MEETINGS,
            fun chameneos:iteration/1),
     savina("savina-big", 2 * ?BIG_ACTORS * ?BIG_PINGS, ?BIG_ACTORS * ?BIG_PINGS,
            fun big:iteration/1),
     savina("savina-banking", ?BANKING_TRANSACTIONS, ?BANKING_TRANSACTIONS,
            fun banking:iteration/1),
     savina("savina-chat", ?CHAT_CLIENTS * ?CHAT_TURNS, ?CHAT_CLIENTS * ?CHAT_TURNS,
            fun chat:iteration/1)].

savina(Name, Messages, Sum, Iteration) ->
    {Name, Messages, 2, {fixed, Sum}, {iterations, Iteration}}.

execute(["programs"]) ->
    {lists:join($\n, [element(1, Program) || Program <- programs()]), 0};
execute(["round", Name, "--messages", Messages, "--cores", Cores]) ->
    Numbers = [string:to_integer(Word) || Word <- [Messages | string:split(Cores, ",", all)]],
    case lists:all(fun({Number, Rest}) -> is_integer(Number) andalso Number >= 0 andalso Rest =:= [] end,
                   Numbers) of
        true ->
            [Count | CoreList] = [Number || {Number, _} <- Numbers],
            round(lists:keyfind(Name, 1, programs()), Name, Count, CoreList);
        false ->
            usage()
    end;
execute(_) ->
    usage().

usage() ->
    {"write: programs | round PROGRAM --messages N --cores 0,1", 2}.

round(false, Name, _, _) ->
    {["\"", Name, "\" is none of this contestant's programs; `programs` lists them"], 2};
round({Name, _, CpusMost, _, _}, _, _, Cores) when length(Cores) > CpusMost ->
    {io_lib:format("~b CPUs given, \"~s\" makes use of at most ~b", [length(Cores), Name, CpusMost]),
     2};
round({_, MessagesAnIteration, _, ComesTo, Work}, _, Messages, Cores) ->
    Iterations = max(1, (Messages + MessagesAnIteration - 1) div MessagesAnIteration),
    Whole = Iterations * MessagesAnIteration,
    case measured(Work, Iterations, Whole, Cores) of
        {Elapsed, Sum} ->
            report(Whole, Elapsed, Sum, expected_sum(ComesTo, Iterations, Whole));
        Reason ->
            {io_lib:format("the work stopped: ~0p", [Reason]), 1}
    end.

report(Whole, Elapsed, Sum, Sum) ->
    {io_lib:format("messages=~b elapsed_ns=~b sum=~b", [Whole, Elapsed, Sum]), 0};
report(_, _, Sum, Expected) ->
    {io_lib:format("the work came to ~b, expected ~b", [Sum, Expected]), 1}.

expected_sum({numbers, MessagesANumber}, _, Messages) ->
    Numbers = Messages div MessagesANumber,
    Numbers * (Numbers - 1) div 2;
expected_sum({fixed, Sum}, Iterations, _) ->
    Iterations * Sum.

%% The work is done in a process of its own, because the one that runs this is the emulator's first.
measured(Work, Iterations, Messages, Cores) ->
    {Pid, Monitor} = spawn_opt(
        fun() -> exit({measured, measure(Work, Iterations, Messages, Cores)}) end,
        [monitor, {min_heap_size, 10_000}, {message_queue_data, off_heap}]),
    receive
        {'DOWN', Monitor, process, Pid, {measured, Outcome}} -> Outcome;
        {'DOWN', Monitor, process, Pid, Reason} -> Reason
    end.

%% A section is a function that makes the actors and gives another, which sends so many messages and returns the sum.
measure({section, Make}, _, Messages, _) ->
    Section = Make([]),
    Section(?WARM_UP_MESSAGES),
    timed(fun() -> Section(Messages) end);
measure({iterations, Iteration}, Iterations, _, _) ->
    Iteration(0),
    timed(fun() -> iterate(Iteration, 1, Iterations, 0) end);
%% Between nodes a section takes its time itself, because what it came to is gathered from the other node afterwards.
measure({nodes, WarmUp, Make}, _, Messages, Cores) ->
    far_node:with(lists:last(Cores), fun(Far) ->
        Section = Make(Far),
        Section(WarmUp),
        erlang:garbage_collect(),
        Section(Messages)
    end).

timed(Work) ->
    erlang:garbage_collect(),
    Start = erlang:monotonic_time(nanosecond),
    Sum = Work(),
    {erlang:monotonic_time(nanosecond) - Start, Sum}.

iterate(Iteration, Number, Last, Sum) when Number =< Last ->
    iterate(Iteration, Number + 1, Last, Sum + Iteration(Number));
iterate(_, _, _, Sum) ->
    Sum.
