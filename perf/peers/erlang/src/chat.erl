%% `savina-chat`: clients of a chat program make chats, write to them, invite friends and leave.
%%
%% An invariant of the program keeps every message from meeting a chat that has stopped: a client acts once a turn,
%% a turn ends when all its deliveries and invitations are done, and a chat stops when its last member has left.
%% Announcements reach the accumulator before the completions that belong to them, because a message stands in the
%% receiver's queue when the send has returned; that holds for queues on the heap, which are the default.
-module(chat).
-export([iteration/1]).
-include("parameters.hrl").

-define(BEFRIEND_PERCENT, 10).
-define(COMPUTE_PERCENT, 50).
-define(POST_PERCENT, 80).
-define(LEAVE_PERCENT, 25).
-define(INVITE_PERCENT, 25).
-define(COMPUTE_STEPS, 1_000).
-define(DIRECTORY_CLIENTS, (?CHAT_CLIENTS div ?CHAT_DIRECTORIES)).

iteration(_) ->
    Self = self(),
    spawn(fun() -> Self ! {acts, poker()} end),
    receive {acts, Acts} -> Acts end.

poker() ->
    Self = self(),
    Accumulator = spawn(fun() -> accumulator(Self, 0, 0) end),
    Directories = [spawn(fun() -> directory(Number, Accumulator) end)
                   || Number <- lists:seq(0, ?CHAT_DIRECTORIES - 1)],
    Acts = turns(?CHAT_TURNS, Accumulator, Directories, 0),
    [Directory ! close || Directory <- Directories],
    Accumulator ! close,
    Acts.

turns(0, _, _, Acts) ->
    Acts;
turns(Left, Accumulator, Directories, _) ->
    Accumulator ! {expect, ?CHAT_CLIENTS},
    [Directory ! turn || Directory <- Directories],
    receive {turn_over, Acts} -> turns(Left - 1, Accumulator, Directories, Acts) end.

accumulator(Poker, Pending, Acts) ->
    receive
        delivered -> one_less(Poker, Pending - 1, Acts);
        act_done -> one_less(Poker, Pending - 1, Acts + 1);
        {expect, More} -> accumulator(Poker, Pending + More, Acts);
        close -> ok
    end.

one_less(Poker, 0, Acts) ->
    Poker ! {turn_over, Acts},
    accumulator(Poker, 0, Acts);
one_less(Poker, Pending, Acts) ->
    accumulator(Poker, Pending, Acts).

directory(Number, Accumulator) ->
    First = Number * ?DIRECTORY_CLIENTS,
    Clients = [spawn(fun() -> client(Id, Accumulator) end)
               || Id <- lists:seq(First, First + ?DIRECTORY_CLIENTS - 1)],
    [Client ! {be_friends, Clients} || Client <- Clients],
    direct(Clients).

direct(Clients) ->
    receive
        turn -> [Client ! act || Client <- Clients], direct(Clients);
        close -> [Client ! close || Client <- Clients]
    end.

-record(client, {id, self, random, accumulator, friends = {}, chats = []}).

client(Id, Accumulator) ->
    Random = small_random:seeded(Id),
    Client = #client{id = Id, self = self(), random = Random, accumulator = Accumulator},
    receive
        {be_friends, Clients} -> client(be_friends(Clients, Client))
    end.

client(Client = #client{accumulator = Accumulator, chats = Chats}) ->
    receive
        deliver -> Accumulator ! delivered, client(Client);
        act -> client(act(with_a_chat(Client)));
        {invitation, Chat} -> Chat ! {join, Client#client.self}, client(Client);
        {joined, Chat} -> Accumulator ! delivered, client(Client#client{chats = [Chat | Chats]});
        forwarded -> Accumulator ! act_done, client(Client);
        {left, Chat} ->
            Accumulator ! act_done,
            client(Client#client{chats = lists:delete(Chat, Chats)});
        close -> [Chat ! close || Chat <- Chats]
    end.

be_friends(Clients, Client = #client{self = Self, random = Random}) ->
    {Friends, Next} = lists:foldl(
        fun(Other, Drawn) when Other =:= Self -> Drawn;
           (Other, {Friends, State}) ->
               {IsFriend, NextState} = chance(State, ?BEFRIEND_PERCENT),
               {case IsFriend of true -> [Other | Friends]; false -> Friends end, NextState}
        end, {[], Random}, Clients),
    Client#client{friends = list_to_tuple(Friends), random = Next}.

with_a_chat(Client = #client{chats = []}) -> Client#client{chats = [start_chat(Client)]};
with_a_chat(Client) -> Client.

act(Client = #client{random = Random, accumulator = Accumulator}) ->
    case next_act(Random) of
        {compute, Next} ->
            compute(Client#client.id bor 1, ?COMPUTE_STEPS),
            Accumulator ! act_done,
            Client#client{random = Next};
        {post, Next} ->
            {Chat, Last} = any_chat(Client#client.chats, Next),
            Chat ! {post, Client#client.self},
            Client#client{random = Last};
        {leave, Next} ->
            {Chat, Last} = any_chat(Client#client.chats, Next),
            Chat ! {leave, Client#client.self},
            Client#client{random = Last};
        {invite, Next} ->
            invite(Client#client{random = Next});
        {rest, Next} ->
            Accumulator ! act_done,
            Client#client{random = Next}
    end.

next_act(Random) ->
    draw([{?COMPUTE_PERCENT, compute}, {?POST_PERCENT, post}, {?LEAVE_PERCENT, leave},
          {?INVITE_PERCENT, invite}], Random).

draw([], Random) ->
    {rest, Random};
draw([{Percent, Act} | Others], Random) ->
    case chance(Random, Percent) of
        {true, Next} -> {Act, Next};
        {false, Next} -> draw(Others, Next)
    end.

chance(Random, Percent) ->
    Next = small_random:next(Random),
    {small_random:below(Next, 100) < Percent, Next}.

any_chat(Chats, Random) ->
    Next = small_random:next(Random),
    {lists:nth(1 + small_random:below(Next, length(Chats)), Chats), Next}.

invite(Client = #client{friends = Friends, random = Random, accumulator = Accumulator}) ->
    Chat = start_chat(Client),
    Last = case tuple_size(Friends) of
        0 ->
            Random;
        Count ->
            Next = small_random:next(Random),
            Invited = 1 + small_random:below(Next, Count),
            Accumulator ! {expect, Invited},
            invite(Invited, Count, Friends, {invitation, Chat}, Next)
    end,
    Accumulator ! act_done,
    Client#client{random = Last, chats = [Chat | Client#client.chats]}.

%% Draws from the first Count friends; the one that is drawn gives its place to the last of them.
invite(0, _, _, _, Random) ->
    Random;
invite(Left, Count, Friends, Invitation, Random) ->
    Next = small_random:next(Random),
    Drawn = 1 + small_random:below(Next, Count),
    element(Drawn, Friends) ! Invitation,
    Others = setelement(Drawn, Friends, element(Count, Friends)),
    invite(Left - 1, Count - 1, Others, Invitation, Next).

%% A chain of dependent steps with numbers that stay in a machine word.
compute(Value, 0) -> Value;
compute(Value, Left) -> compute((Value * 16#5851F42 + 16#14057B7) band 16#7FFFFFFF, Left - 1).

start_chat(#client{self = Self, accumulator = Accumulator}) ->
    spawn(fun() -> chat(Accumulator, [Self], 1) end).

chat(Accumulator, Members, Count) ->
    receive
        {post, From} ->
            Accumulator ! {expect, Count},
            [Member ! deliver || Member <- Members],
            From ! forwarded,
            chat(Accumulator, Members, Count);
        {join, Client} ->
            Client ! {joined, self()},
            chat(Accumulator, [Client | Members], Count + 1);
        {leave, Client} ->
            Client ! {left, self()},
            case lists:delete(Client, Members) of
                [] -> ok;
                Others -> chat(Accumulator, Others, Count - 1)
            end;
        close ->
            ok
    end.
