%% Keeps the records of calls: cdr_server:start(), cdr_server:all().
-module(cdr_server).
-behaviour(gen_server).
-export([start/0, all/0]).
-export([init/1, handle_call/3, handle_cast/2]).

start() -> gen_server:start({local, ?MODULE}, ?MODULE, [], []).

all() -> gen_server:call(?MODULE, all).

init([]) -> {ok, []}.

handle_call(all, _From, Records) -> {reply, lists:reverse(Records), Records}.

handle_cast({create, {cdr, {call_desc, CallId, _Branch, _Direction}, _Service, Caller, Called, Zone, At},
             State, Pid, Price, Duration}, Records) ->
    io:format("~s: ~s calls ~s (~s) at ~p from ~p: ~p, ~p s, ~p~n",
              [CallId, Caller, Called, Zone, At, node(Pid), State, Duration, Price]),
    {noreply, [{CallId, State, Duration} | Records]}.
