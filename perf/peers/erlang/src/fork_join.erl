%% `savina-fork-join-throughput` and `savina-fork-join-create`: many messages to a few processes that compute, and one
%% message each to many processes. Long queues are kept off the heap, where no garbage collection walks them.
-module(fork_join).
-export([throughput/1, create/1]).
-include("parameters.hrl").

throughput(_) ->
    Workers = [spawn_opt(fun() -> worker(?FORK_JOIN_ANGLE, 0) end, [{message_queue_data, off_heap}])
               || _ <- lists:seq(1, ?FORK_JOIN_ACTORS)],
    send_work(?FORK_JOIN_MESSAGES, Workers, Workers),
    [Worker ! {leave, self()} || Worker <- Workers],
    add_handled(?FORK_JOIN_ACTORS, 0).

send_work(0, _, _) ->
    ok;
send_work(Left, [Worker | Others], All) ->
    Worker ! work,
    send_work(Left, Others, All);
send_work(Left, [], All) ->
    send_work(Left - 1, All, All).

add_handled(0, Sum) -> Sum;
add_handled(Left, Sum) -> receive {handled, Count} -> add_handled(Left - 1, Sum + Count) end.

worker(Angle, Handled) ->
    receive
        work -> compute(Angle), worker(Angle, Handled + 1);
        {leave, From} -> From ! {handled, Handled}
    end.

create(_) ->
    Self = self(),
    create_each(?FORK_JOIN_CREATED, ?FORK_JOIN_ANGLE, Self),
    add_done(?FORK_JOIN_CREATED, 0).

create_each(0, _, _) ->
    ok;
create_each(Left, Angle, Self) ->
    spawn(fun() -> once(Angle, Self) end) ! work,
    create_each(Left - 1, Angle, Self).

once(Angle, Creator) ->
    receive work -> compute(Angle), Creator ! done end.

add_done(0, Sum) -> Sum;
add_done(Left, Sum) -> receive done -> add_done(Left - 1, Sum + 1) end.

%% The test keeps the compiler from leaving it out.
compute(Angle) ->
    Sine = math:sin(Angle),
    true = Sine * Sine < 2.0.
