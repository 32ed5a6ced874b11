%% `tell-same-core`: one process tells numbers to a thousand others in turn, and yields now and then.
-module(tell).
-export([section/1]).
-include("parameters.hrl").

section(_) ->
    Receivers = [spawn(fun() -> receiver(0) end) || _ <- lists:seq(1, ?TELL_ACTORS)],
    Teller = spawn(fun() -> teller(Receivers) end),
    fun(Messages) ->
        Teller ! {tell, self(), Messages},
        receive {told, Sum} -> Sum end
    end.

teller(Receivers) ->
    receive
        {tell, From, Messages} ->
            tell(0, Messages, ?TELL_BATCH, Receivers, Receivers),
            [Receiver ! {total, self()} || Receiver <- Receivers],
            From ! {told, total(?TELL_ACTORS, 0)},
            teller(Receivers)
    end.

tell(Messages, Messages, _, _, _) ->
    ok;
tell(Number, Messages, 0, InTurn, All) ->
    erlang:yield(),
    tell(Number, Messages, ?TELL_BATCH, InTurn, All);
tell(Number, Messages, Left, [Receiver | InTurn], All) ->
    Receiver ! {number, Number},
    tell(Number + 1, Messages, Left - 1, InTurn, All);
tell(Number, Messages, Left, [], All) ->
    tell(Number, Messages, Left, All, All).

total(0, Sum) -> Sum;
total(Left, Sum) -> receive {total_is, Total} -> total(Left - 1, Sum + Total) end.

receiver(Sum) ->
    receive
        {number, Number} -> receiver(Sum + Number);
        {total, From} -> From ! {total_is, Sum}, receiver(0)
    end.
