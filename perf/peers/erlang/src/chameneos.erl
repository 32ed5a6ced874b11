%% `savina-chameneos`: creatures meet in a mall and change their colours.
-module(chameneos).
-export([iteration/1]).
-include("parameters.hrl").

iteration(_) ->
    Self = self(),
    Mall = spawn(fun() -> Self ! {met, mall(?CHAMENEOS_MEETINGS)} end),
    [spawn(fun() -> creature(Mall, Number rem 3) end)
     || Number <- lists:seq(0, ?CHAMENEOS_CREATURES - 1)],
    receive {met, Meetings} -> Meetings end.

mall(0) ->
    close(?CHAMENEOS_CREATURES, 0);
mall(Open) ->
    receive
        {request, First, _} ->
            receive
                {request, Second, Colour} ->
                    First ! {partner, Second, Colour},
                    mall(Open - 1)
            end
    end.

close(0, Met) ->
    Met;
close(Left, Met) ->
    receive
        {request, Creature, _} -> Creature ! leave, close(Left, Met);
        {left, Meetings} -> close(Left - 1, Met + Meetings)
    end.

creature(Mall, Colour) ->
    creature(Mall, self(), Colour, 0).

creature(Mall, Self, Colour, Meetings) ->
    Mall ! {request, Self, Colour},
    receive
        {partner, Other, OtherColour} ->
            Changed = complementary(Colour, OtherColour),
            Other ! {change, Changed},
            creature(Mall, Self, Changed, Meetings + 1);
        {change, Changed} ->
            creature(Mall, Self, Changed, Meetings + 1);
        leave ->
            Mall ! {left, Meetings}
    end.

%% Colours are 0, 1 and 2, so two different ones and the third add up to 3.
complementary(Colour, Colour) -> Colour;
complementary(One, Other) -> 3 - One - Other.
