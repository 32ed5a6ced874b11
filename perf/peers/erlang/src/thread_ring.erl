%% `savina-thread-ring`: a token goes round a ring of processes.
-module(thread_ring).
-export([iteration/1]).
-include("parameters.hrl").

iteration(_) ->
    Self = self(),
    Last = spawn(fun() -> receive {next, Next} -> node(Next, Self, 0) end end),
    Nodes = [First | _] = lists:foldl(
        fun(_, All = [Next | _]) -> [spawn(fun() -> node(Next, Self, 0) end) | All] end,
        [Last], lists:seq(2, ?THREAD_RING_ACTORS)),
    Last ! {next, First},
    First ! ?THREAD_RING_HOPS,
    receive arrived -> ok end,
    [Node ! leave || Node <- Nodes],
    add_hops(?THREAD_RING_ACTORS, 0).

add_hops(0, Sum) -> Sum;
add_hops(Left, Sum) -> receive {hops, Hops} -> add_hops(Left - 1, Sum + Hops) end.

%% The token is the number of hops left.
node(Next, Starter, Hops) ->
    receive
        1 -> Starter ! arrived, node(Next, Starter, Hops + 1);
        leave -> Starter ! {hops, Hops};
        HopsLeft -> Next ! HopsLeft - 1, node(Next, Starter, Hops + 1)
    end.
