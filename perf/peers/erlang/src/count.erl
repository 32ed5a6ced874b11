%% `savina-count`: a producer floods a counter, then asks for the count. The counter's queue is long, so it is kept off
%% its heap, where no garbage collection walks it.
-module(count).
-export([iteration/1]).
-include("parameters.hrl").

iteration(_) ->
    Counter = spawn_opt(fun() -> counter(0) end, [{message_queue_data, off_heap}]),
    Self = self(),
    spawn(fun() -> produce(Counter, ?COUNT_MESSAGES, Self) end),
    receive {count_is, Count} -> Counter ! stop, Count end.

produce(Counter, 0, Self) ->
    Counter ! {count, Self};
produce(Counter, Left, Self) ->
    Counter ! increment,
    produce(Counter, Left - 1, Self).

counter(Count) ->
    receive
        increment -> counter(Count + 1);
        {count, From} -> From ! {count_is, Count}, counter(Count);
        stop -> ok
    end.
