//! The examples of the talk that introduced Kamailio's `erlang` module (Kamailio World 2015), with the Erlang side word for word:
//! messages to `self` and to `greetings`, a command called from Erlang, and a function of Erlang called from a route.

use switchhook_sdk::erlang::variables::{erl_list, erl_xbuff};
use switchhook_sdk::erlang::{atom, tuple};
use switchhook_sdk::prelude::*;

#[switchhook_sdk::script]
mod routes {
    use serde::Serialize;

    /// The `config` table of switchhook.toml.
    #[config]
    struct Config {
        /// What `dispatcher:list` tells: sets of targets, by number.
        #[serde(default)]
        sets: std::collections::BTreeMap<String, Vec<String>>,
    }

    // MP example/1
    //
    // (node1)> P = rpc:call('pbx@127.0.0.1', erlang, whereis, [self]).
    // (node1)> P ! R.
    #[event_route("erlang:self")]
    fn to_self(msg: &erlang::Message) -> Outcome {
        // xlog("L_DEBUG", "$$erl_xbuff(msg)=$erl_xbuff(msg=>format)\n");
        log::debug!("$erl_xbuff(msg)={}", msg.content());
        Ok(Done)
    }

    // MP example/2
    //
    // (node1)> {greetings,'pbx@127.0.0.1'} ! {hello,"Kamailio"}.
    // (node1)> flush().
    // Shell got {hello,"Erlang"}
    #[event_route("erlang:greetings")]
    fn greetings(msg: &erlang::Message) -> Outcome {
        log::info!("Received message: {}", msg.content());
        msg.reply(tuple![atom("hello"), "Erlang"])
    }

    // RPC example/1
    //
    // (node1)> rpc:call('pbx@127.0.0.1', dispatcher, list, []).

    /// The sets of targets.
    #[rpc("dispatcher.list")]
    fn dispatcher_list(_params: &rpc::Params, config: &Config) -> Result<Sets> {
        let set = |(id, targets): (&String, &Vec<String>)| Record {
            set: Set {
                id: id.parse().unwrap_or_default(),
                targets: targets.iter().map(|uri| target(uri)).collect(),
            },
        };
        Ok(Sets {
            count: config.sets.len(),
            records: config.sets.iter().map(set).collect(),
        })
    }

    // RPC example/2
    //
    // # example of call erlang:list_to_tuple(["one","two"]) on remote node
    #[request_route]
    fn main(req: &mut Request) -> Outcome {
        if req.method() != Method::Options {
            return req.reply(501, "Not Implemented");
        }
        // $erl_list(L) = "two"; $erl_list(L) = "one"; $erl_list(args) = $erl_list(L);
        erl_list("L").prepend("two")?;
        erl_list("L").prepend("one")?;
        erl_list("args").prepend(erl_list("L").get()?)?;
        // erl_rpc("erlang","list_to_tuple","$erl_list(args)","$erl_xbuff(repl)");
        match erlang::rpc("", "erlang", "list_to_tuple", erl_list("args").get()?) {
            Ok(reply) => erl_xbuff("repl").set(reply)?,
            Err(error) => return req.reply(503, &error.to_string()),
        }
        let repl = erl_xbuff("repl");
        log::debug!(
            "type(repl): {}, format(repl): {}",
            repl.kind()?,
            repl.format()?
        );
        // and a message to a registered process, which nobody need have
        let told = tuple![atom("options"), req.call_id()];
        if let Err(error) = erlang::reg_send("example", "", told) {
            log::warn!("{error}");
        }
        req.reply(200, &repl.format()?)
    }

    #[derive(Serialize)]
    struct Sets {
        #[serde(rename = "NRSETS")]
        count: usize,
        #[serde(rename = "RECORDS")]
        records: Vec<Record>,
    }

    #[derive(Serialize)]
    struct Record {
        #[serde(rename = "SET")]
        set: Set,
    }

    #[derive(Serialize)]
    struct Set {
        #[serde(rename = "ID")]
        id: u32,
        #[serde(rename = "TARGETS")]
        targets: Vec<Target>,
    }

    #[derive(Serialize)]
    struct Target {
        #[serde(rename = "DEST")]
        dest: Dest,
    }

    #[derive(Serialize)]
    struct Dest {
        #[serde(rename = "URI")]
        uri: String,
        #[serde(rename = "FLAGS")]
        flags: &'static str,
        #[serde(rename = "PRIORITY")]
        priority: u32,
    }

    fn target(uri: &str) -> Target {
        Target {
            dest: Dest {
                uri: uri.to_owned(),
                flags: "AX",
                priority: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests;
