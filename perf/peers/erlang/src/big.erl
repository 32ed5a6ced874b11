%% `savina-big`: every process pings others, drawn at random.
-module(big).
-export([iteration/1]).
-include("parameters.hrl").

%% A few thousand words a process mean fewer collections and still fit the second-level cache.
-define(HEAP_WORDS, 4_000).

iteration(Iteration) ->
    Self = self(),
    Neighbours = list_to_tuple(
        [spawn_opt(
             fun() -> neighbour(Self, small_random:seeded(Iteration * ?BIG_ACTORS + Number)) end,
             [{min_heap_size, ?HEAP_WORDS}])
         || Number <- lists:seq(1, ?BIG_ACTORS)]),
    [Neighbour ! {start, Neighbours} || Neighbour <- tuple_to_list(Neighbours)],
    Pongs = sink(?BIG_ACTORS, 0),
    [Neighbour ! stop || Neighbour <- tuple_to_list(Neighbours)],
    Pongs.

sink(0, Pongs) -> Pongs;
sink(Left, Sum) -> receive {finished, Pongs} -> sink(Left - 1, Sum + Pongs) end.

neighbour(Sink, Random) ->
    receive
        {start, All} -> ping(All, self(), Sink, Random, 0)
    end.

ping(All, Self, Sink, Random, Pongs) ->
    Next = small_random:next(Random),
    element(1 + small_random:below(Next, ?BIG_ACTORS), All) ! {ping, Self},
    await(All, Self, Sink, Next, Pongs).

await(All, Self, Sink, Random, Pongs) ->
    receive
        {ping, From} ->
            From ! pong,
            await(All, Self, Sink, Random, Pongs);
        pong when Pongs + 1 < ?BIG_PINGS ->
            ping(All, Self, Sink, Random, Pongs + 1);
        pong ->
            Sink ! {finished, Pongs + 1},
            await(All, Self, Sink, Random, Pongs + 1);
        stop ->
            ok
    end.
