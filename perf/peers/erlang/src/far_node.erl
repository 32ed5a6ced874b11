%% A second emulator on this machine, linked by Erlang's own distribution over loopback, for programs between nodes.
%%
%% with/2 starts it on a CPU, does the work and ends it. It also ends when this emulator does, because the peer module
%% holds it by its standard input. No daemon is needed that maps names to ports: the functions at the end are a module
%% of the kind that `-epmd_module` takes, and the near node is told the port of the far one.
-module(far_node).
-export([with/2]).
-export([start_link/0, register_node/3, address_please/3, port_please/2, names/1, own_port/0]).

-define(HOST, "127.0.0.1").
-define(PORT(Name), {?MODULE, port, Name}).
%% The version of the distribution that nodes of OTP 23 and later speak.
-define(VERSION, 6).

%% The work is a function of the far node. The flags of the emulator stand in the environment, the same for both.
with(Cpu, Work) ->
    {ok, _} = net_kernel:start(['near@127.0.0.1', longnames]),
    true = erlang:set_cookie(contestant),
    Taskset = os:find_executable("taskset"),
    Erl = os:find_executable("erl"),
    {ok, Peer, Far} = peer:start(#{name => far, host => ?HOST, longnames => true,
                                   connection => standard_io,
                                   exec => {Taskset, ["-c", integer_to_list(Cpu), Erl]},
                                   args => ["-pa", filename:dirname(code:which(?MODULE)),
                                            "-setcookie", "contestant"]}),
    persistent_term:put(?PORT("far"), peer:call(Peer, ?MODULE, own_port, [])),
    true = net_kernel:connect_node(Far),
    try Work(Far) after peer:stop(Peer) end.

own_port() -> persistent_term:get(?PORT(own)).

start_link() -> ignore.

register_node(_, Port, _) ->
    persistent_term:put(?PORT(own), Port),
    {ok, erlang:unique_integer([positive]) rem 1_000 + 4}.

address_please(Name, _, _) ->
    case port_please(Name, ?HOST) of
        {port, Port, Version} -> {ok, {127, 0, 0, 1}, Port, Version};
        noport -> {error, nxdomain}
    end.

port_please(Name, _) ->
    case persistent_term:get(?PORT(Name), none) of
        none -> noport;
        Port -> {port, Port, ?VERSION}
    end.

names(_) -> {error, address}.
