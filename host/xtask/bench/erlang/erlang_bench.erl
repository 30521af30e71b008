%% The generator of `cargo xtask bench erlang`, and its counterpart on an Erlang node.
%%
%% Does what lines of its input say, one after the other, and prints for each the microseconds that it took.
-module(erlang_bench).
-export([main/0, peer/0, version/0]).

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

main() ->
    io:format("OTP ~s~n", [erlang:system_info(otp_release)]),
    orders().

orders() ->
    case io:get_line("") of
        eof -> halt(0);
        Line ->
            {Micros, ok} = timer:tc(fun() -> obey(string:lexemes(Line, " \n")) end),
            io:format("~b~n", [Micros]),
            orders()
    end.

obey(["connect", Node]) ->
    true = net_kernel:connect_node(list_to_atom(Node)),
    ok;
%% That many messages, and the end of them, which is answered.
obey(["host", Node, Count]) -> messages(list_to_atom(Node), list_to_integer(Count), done);
obey(["peer", Node, Count]) -> messages(list_to_atom(Node), list_to_integer(Count), {done, self()});
%% That many messages.
obey(["send", Node, Count]) -> send(list_to_atom(Node), term(), list_to_integer(Count));
%% That many calls, one after the other.
obey(["calls", Node, Module, Count]) -> calls(list_to_atom(Node), list_to_atom(Module), list_to_integer(Count));
%% That many calls of each of so many processes.
obey(["crowd", Node, Module, Processes, Each]) ->
    [To, Called] = [list_to_atom(Name) || Name <- [Node, Module]],
    Count = list_to_integer(Each),
    Started = [spawn_monitor(fun() -> calls(To, Called, Count) end) || _ <- lists:seq(1, list_to_integer(Processes))],
    [receive {'DOWN', Monitor, process, _, normal} -> ok end || {_, Monitor} <- Started],
    ok.

messages(Node, Count, Last) ->
    ok = send(Node, term(), Count),
    {sink, Node} ! Last,
    receive done -> ok after 60000 -> late end.

send(_, _, 0) -> ok;
send(Node, Term, Count) -> {sink, Node} ! Term, send(Node, Term, Count - 1).

calls(_, _, 0) -> ok;
calls(Node, Module, Count) ->
    [{[_ | _]}] = rpc:call(Node, Module, version, []),
    calls(Node, Module, Count - 1).

%% 50 nodes, of the kinds that Kamailio's module can read.
term() ->
    {call, 47, {from, "alice"}, {to, "bob"}, {at, {20, 11, 21}}, {status, 200, reason, ok}, {1, 2, 3, 4}, {a, b, c, d, e, f, g, h},
        undefined, {x, y, z}, {k, {1, 2}}, {l, {3, 4}}, leg}.
