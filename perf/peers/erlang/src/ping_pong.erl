%% `ping-pong-same-core` and `savina-ping-pong`: a number goes to another process and comes back.
-module(ping_pong).
-export([section/1, iteration/1]).
-include("parameters.hrl").

section(_) ->
    {Pinger, _} = make_pair(),
    fun(Messages) -> {_, Sum} = play(Pinger, Messages div 2), Sum end.

iteration(_) ->
    {Pinger, Ponger} = make_pair(),
    {Pongs, _} = play(Pinger, ?PING_PONG_PINGS),
    Pinger ! stop,
    Ponger ! stop,
    Pongs.

make_pair() ->
    Ponger = spawn(fun ponger/0),
    {spawn(fun() -> pinger(Ponger) end), Ponger}.

play(Pinger, Pings) ->
    Pinger ! {play, self(), Pings},
    receive {played, Pongs, Sum} -> {Pongs, Sum} end.

pinger(Ponger) ->
    receive
        {play, From, Pings} ->
            {Pongs, Sum} = ping(Ponger, self(), 0, Pings, 0),
            From ! {played, Pongs, Sum},
            pinger(Ponger);
        stop ->
            ok
    end.

ping(Ponger, Self, Pongs, Pings, Sum) when Pongs < Pings ->
    Ponger ! {ping, Self, Pongs},
    receive {pong, Number} -> ping(Ponger, Self, Pongs + 1, Pings, Sum + Number) end;
ping(_, _, Pongs, _, Sum) ->
    {Pongs, Sum}.

ponger() ->
    receive
        {ping, From, Number} -> From ! {pong, Number}, ponger();
        stop -> ok
    end.
