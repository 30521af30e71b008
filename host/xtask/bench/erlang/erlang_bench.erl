%% The generator of `cargo xtask bench erlang`, and its counterpart on an Erlang node.
%%
%% Every figure of the host stands beside that of an Erlang node, measured in turns by the same process: a busy machine is busy for both.
-module(erlang_bench).
-export([main/1, peer/0, version/0]).

-define(ROUNDS, 5).
-define(MESSAGES, 50000).
-define(SEQUENTIAL, 500).
-define(PROCESSES, 32).
-define(EACH, 100).

%% What the host is measured beside.
peer() ->
    register(sink, spawn(fun sink/0)),
    io:format("ready~n"),
    receive stop -> ok end.

sink() ->
    receive
        {done, From} -> From ! done, sink();
        _ -> sink()
    end.

%% As long as core:version of the host.
version() -> [{[{<<"contract">>, <<"switchhook:script@0.1.0">>}, {<<"name">>, <<"switchhook">>}, {<<"version">>, <<"0.1.0">>}]}].

main(Names) ->
    [Host, Peer | More] = [list_to_atom(Name) || Name <- Names],
    pong = net_adm:ping(Peer),
    pong = net_adm:ping(Host),
    {HostMessages, PeerMessages} = turns(fun() -> messages(Host, done) end, fun() -> messages(Peer, {done, self()}) end),
    {HostCall, PeerCall} = turns(fun() -> sequential(Host, core) end, fun() -> sequential(Peer, ?MODULE) end),
    {HostCalls, PeerCalls} = turns(fun() -> concurrent(Host, core) end, fun() -> concurrent(Peer, ?MODULE) end),
    Kamailio = [kamailio(Name) || Name <- More],
    row("messages a second into a process, 50 nodes each", HostMessages, PeerMessages, fun whole/1),
    row("rpc:call one after the other, microseconds", HostCall, PeerCall, fun tenths/1),
    row("rpc:call a second, from 32 processes", HostCalls, PeerCalls, fun whole/1),
    [io:format("kamailio ~s~n", [Told]) || Told <- Kamailio],
    halt(0).

%% A line of the table: medians, and the median of the rounds' ratios, which what else the machine does spoils least.
row(What, Host, Peer, Number) ->
    Ratio = median([H / P || {H, P} <- lists:zip(Host, Peer)]),
    io:format("row ~s|~s|~s|~.2f~n", [What, Number(median(Host)), Number(median(Peer)), Ratio]).

whole(Number) -> integer_to_list(round(Number)).

tenths(Number) -> io_lib:format("~.1f", [float(Number)]).

turns(One, Other) ->
    One(), Other(),
    lists:unzip([{One(), Other()} || _ <- lists:seq(1, ?ROUNDS)]).

median(Numbers) -> lists:nth((length(Numbers) + 1) div 2, lists:sort(Numbers)).

%% Messages a second, until the last one is answered.
messages(Node, Last) -> messages(Node, Last, ?MESSAGES).

messages(Node, Last, Count) ->
    Term = term(),
    {Micros, done} = timer:tc(fun() ->
        send(Node, Term, Count),
        {sink, Node} ! Last,
        receive done -> done; {"done"} -> done after 60000 -> late end
    end),
    Count * 1.0e6 / Micros.

send(_, _, 0) -> ok;
send(Node, Term, Count) -> {sink, Node} ! Term, send(Node, Term, Count - 1).

%% 50 nodes, of the kinds that Kamailio's module can read.
term() ->
    {call, 47, {from, "alice"}, {to, "bob"}, {at, {20, 11, 21}}, {status, 200, reason, ok}, {1, 2, 3, 4}, {a, b, c, d, e, f, g, h},
        undefined, {x, y, z}, {k, {1, 2}}, {l, {3, 4}}, leg}.

%% Microseconds of a call.
sequential(Node, Module) ->
    {Micros, _} = timer:tc(fun() -> calls(Node, Module, ?SEQUENTIAL) end),
    Micros / ?SEQUENTIAL.

calls(_, _, 0) -> ok;
calls(Node, Module, Count) ->
    [{[_ | _]}] = rpc:call(Node, Module, version, []),
    calls(Node, Module, Count - 1).

%% Calls a second from many processes.
concurrent(Node, Module) ->
    {Micros, _} = timer:tc(fun() ->
        Started = [spawn_monitor(fun() -> calls(Node, Module, ?EACH) end) || _ <- lists:seq(1, ?PROCESSES)],
        [receive {'DOWN', Monitor, process, _, normal} -> ok end || {_, Monitor} <- Started]
    end),
    ?PROCESSES * ?EACH * 1.0e6 / Micros.

%% Kamailio knows no ping: a message connects. It answers the last one, if it takes what comes at all.
kamailio(Name) ->
    {sink, Name} ! done,
    receive
        {"done"} ->
            Rates = [catch messages(Name, done, 5000) || _ <- lists:seq(1, 3)],
            case lists:all(fun is_float/1, Rates) of
                true -> whole(median(Rates));
                false -> "silent"
            end
    after 5000 -> "silent"
    end.
