%% `ask-same-core`: one process asks another for numbers, with a deadline.
%%
%% A request carries a fresh reference that the reply repeats: the request and reply of the language itself. What
%% gen_server:call/3 does beyond it (a monitor that tells of a server that dies, an alias that turns late replies away)
%% is left out, because it takes two thirds more time.
-module(ask).
-export([section/1]).
-include("parameters.hrl").

-define(DEADLINE_MS, 1_000).

section(_) ->
    Answerer = spawn(fun answerer/0),
    Asker = spawn(fun() -> asker(Answerer) end),
    fun(Questions) ->
        Asker ! {ask, self(), Questions},
        receive {asked, Sum} -> Sum end
    end.

asker(Answerer) ->
    receive
        {ask, From, Questions} ->
            From ! {asked, questions(Answerer, 0, Questions, 0)},
            asker(Answerer)
    end.

questions(_, Questions, Questions, Sum) ->
    Sum;
questions(Answerer, Number, Questions, Sum) ->
    Reference = make_ref(),
    Answerer ! {question, self(), Reference, Number},
    receive
        {Reference, Answer} -> questions(Answerer, Number + 1, Questions, Sum + Answer)
    after ?DEADLINE_MS ->
        exit(no_answer_within_the_deadline)
    end.

answerer() ->
    receive
        {question, From, Reference, Number} -> From ! {Reference, Number}, answerer()
    end.
