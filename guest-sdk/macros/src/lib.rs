//! The macros of `switchhook-sdk`: `#[script]` for a module, and the attributes of what is in it.
//!
//! `#[script]` collects a module's routes, checks each against what its kind may take, and implements
//! `switchhook_sdk::Script` for a type `Script` in that module. The other attributes do nothing by themselves: where one is met
//! outside of such a module it says so.

mod expand;
mod module;
mod route;

use proc_macro::TokenStream;

/// Makes a module a script: its routes become the component's exports.
#[proc_macro_attribute]
pub fn script(arguments: TokenStream, module: TokenStream) -> TokenStream {
    module::script(arguments.into(), module.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

macro_rules! attributes {
    ($($name:ident $doc:literal)*) => {$(
        #[doc = $doc]
        #[proc_macro_attribute]
        pub fn $name(_: TokenStream, _: TokenStream) -> TokenStream {
            outside(stringify!($name))
        }
    )*};
}

attributes! {
    config "The type of the script's config: a struct that is read from its `config` table in switchhook.toml. Field names are written with \
            dashes there (`max-calls` for `max_calls`), and a key that no field has is an error."
    init "Called once in each instance before any event: `fn(config: Config) -> Result<State>`. An error refuses the load."
    request_route "Each request but retransmissions, the ACK of a non-2xx answer and the CANCEL of a known INVITE."
    reply_route "Each reply, before its transaction sees it."
    onsend_route "Each request that is about to be sent. It can look and drop, not change."
    branch_route "Each branch before it is sent, where the request was armed with `on_branch`."
    onreply_route "Each reply of a branch, where the request was armed with `on_reply`."
    failure_route "No branch succeeded, where the request was armed with `on_failure`."
    event_route "An event by its name: `#[event_route(\"usrloc:contact-expired\")]`, `\"erlang:NAME\"` for messages to the process of that name, \
                 `\"erlang-event:node-up\"`, `node-down`, `node-busy`, `node-ready`, `exit`, `down`; `\"dmq:CHANNEL\"` for messages of the bus's members, \
                 `\"dmq-event:peer-up\"`, `peer-disabled`, `peer-down`, `answered`; `\"dialog:start\"`, `end`, `failed`, `timeout`; `\"uac:NAME\"` for replies to requests of the script's own."
    rpc "A command by its name, documented by the comment above it: `#[rpc(\"group.command\")] fn(&rpc::Params) -> Result<T>`."
    export_state "Gives state to hand to the next generation at a swap: `fn(&State) -> Option<Vec<u8>>`."
    import_state "Takes state of the generation before: `fn(&mut State, &[u8]) -> Result<()>`."
}

fn outside(name: &str) -> TokenStream {
    let message =
        format!("`#[{name}]` belongs inside a module that is marked `#[switchhook_sdk::script]`");
    syn::Error::new(proc_macro2::Span::call_site(), message)
        .into_compile_error()
        .into()
}

#[cfg(test)]
mod tests;
