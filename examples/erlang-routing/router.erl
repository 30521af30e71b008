%% Says where calls go: router:start(), router:put(<<"bob">>, {relay, ["sip:bob@192.0.2.7"]}).
-module(router).
-behaviour(gen_server).
-export([start/0, put/2]).
-export([init/1, handle_call/3, handle_cast/2]).

start() -> gen_server:start({local, ?MODULE}, ?MODULE, [], []).

put(Called, Decision) -> gen_server:call(?MODULE, {put, Called, Decision}).

init([]) -> {ok, #{}}.

handle_call({route, #{called := Called}}, _From, Routes) ->
    {reply, maps:get(Called, Routes, {reject, 404, "Not Found"}), Routes};
handle_call({put, Called, Decision}, _From, Routes) ->
    {reply, ok, Routes#{Called => Decision}}.

handle_cast(_, Routes) -> {noreply, Routes}.
