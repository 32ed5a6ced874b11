%% `remote-ping-pong` and `remote-stream`: messages to processes of another node.
%%
%% A section is a function that sends so many messages and returns how long that took, and what it came to.
-module(remote).
-export([ping_pong/1, stream/1]).
-export([ponger/0, receivers/1]).
-include("parameters.hrl").

ping_pong(Far) ->
    Ponger = spawn(Far, ?MODULE, ponger, []),
    fun(Messages) ->
        Start = erlang:monotonic_time(nanosecond),
        Sum = ping(Ponger, self(), 0, Messages div 2, 0),
        {erlang:monotonic_time(nanosecond) - Start, Sum}
    end.

ping(Ponger, Self, Number, Numbers, Sum) when Number < Numbers ->
    Ponger ! {Number, Self},
    receive {Back, Ponger} -> ping(Ponger, Self, Number + 1, Numbers, Sum + Back) end;
ping(_, _, _, _, Sum) ->
    Sum.

ponger() ->
    receive {Number, From} -> From ! {Number, self()}, ponger() end.

%% What is told last goes to a process of its own, which answers: it comes behind all others on the same connection.
stream(Far) ->
    [Finisher | Receivers] = erpc:call(Far, ?MODULE, receivers, [?REMOTE_STREAM_ACTORS]),
    fun(Messages) ->
        Start = erlang:monotonic_time(nanosecond),
        send(0, Messages, self(), Receivers, Receivers),
        Finisher ! {finish, self()},
        receive finished -> ok end,
        Elapsed = erlang:monotonic_time(nanosecond) - Start,
        [Receiver ! {total, self()} || Receiver <- Receivers],
        {Elapsed, total(?REMOTE_STREAM_ACTORS, 0)}
    end.

%% A connection that takes no more suspends the sender, so that nothing is lost.
send(Messages, Messages, _, _, _) ->
    ok;
send(Number, Messages, Self, [Receiver | InTurn], All) ->
    Receiver ! {Number, Self},
    send(Number + 1, Messages, Self, InTurn, All);
send(Number, Messages, Self, [], All) ->
    send(Number, Messages, Self, All, All).

total(0, Sum) -> Sum;
total(Left, Sum) -> receive {total_is, Total} -> total(Left - 1, Sum + Total) end.

receivers(Count) ->
    [spawn(fun finisher/0) | [spawn(fun() -> receiver(0) end) || _ <- lists:seq(1, Count)]].

finisher() ->
    receive {finish, From} -> From ! finished, finisher() end.

receiver(Sum) ->
    receive
        {total, From} -> From ! {total_is, Sum}, receiver(0);
        {Number, _} -> receiver(Sum + Number)
    end.
