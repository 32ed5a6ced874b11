%% `savina-banking`: transfers between accounts, each of which does one at a time.
%%
%% An account that pays waits by a selective receive for the confirmation alone: the reference in it is made just
%% before, so the emulator looks at later messages only. Money goes to accounts of a higher number, so nobody waits in
%% a circle.
-module(banking).
-export([iteration/1]).
-include("parameters.hrl").

iteration(Iteration) ->
    Self = self(),
    spawn(fun() -> Self ! {confirmed, teller(small_random:seeded(Iteration))} end),
    receive {confirmed, Confirmed} -> Confirmed end.

teller(Random) ->
    Self = self(),
    Accounts = list_to_tuple([spawn(fun() -> account(Self, ?BANKING_INITIAL_BALANCE) end)
                              || _ <- lists:seq(1, ?BANKING_ACCOUNTS)]),
    Confirmed = batches(Accounts, Random, ?BANKING_TRANSACTIONS, 0),
    [Account ! close || Account <- tuple_to_list(Accounts)],
    All = ?BANKING_ACCOUNTS * ?BANKING_INITIAL_BALANCE,
    case balances(?BANKING_ACCOUNTS, 0) of
        All -> Confirmed;
        %% Money was lost or made: a sum that is refused.
        _ -> 0
    end.

batches(_, _, 0, Confirmed) ->
    Confirmed;
batches(Accounts, Random, Left, Confirmed) ->
    Batch = min(?BANKING_BATCH, Left),
    Next = send(Batch, Accounts, Random),
    batches(Accounts, Next, Left - Batch, await(Batch, Confirmed)).

send(0, _, Random) ->
    Random;
send(Left, Accounts, Random) ->
    First = small_random:next(Random),
    Source = small_random:below(First, ?BANKING_SOURCES),
    Second = small_random:next(First),
    Destination = Source + 1 + small_random:below(Second, ?BANKING_ACCOUNTS - 1 - Source),
    Third = small_random:next(Second),
    Amount = 1 + small_random:below(Third, ?BANKING_AMOUNT_MOST),
    element(Source + 1, Accounts) ! {transfer, Amount, element(Destination + 1, Accounts)},
    send(Left - 1, Accounts, Third).

await(0, Confirmed) -> Confirmed;
await(Left, Confirmed) -> receive confirmed -> await(Left - 1, Confirmed + 1) end.

balances(0, Sum) -> Sum;
balances(Left, Sum) -> receive {balance, Balance} -> balances(Left - 1, Sum + Balance) end.

account(Teller, Balance) ->
    receive
        {transfer, Amount, To} ->
            Reference = make_ref(),
            To ! {deposit, self(), Reference, Amount},
            receive {deposited, Reference} -> ok end,
            Teller ! confirmed,
            account(Teller, Balance - Amount);
        {deposit, From, Reference, Amount} ->
            From ! {deposited, Reference},
            account(Teller, Balance + Amount);
        close ->
            Teller ! {balance, Balance}
    end.
