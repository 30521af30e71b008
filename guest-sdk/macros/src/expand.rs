//! What a script's module becomes: itself, a constant for each named route, and `impl Script`.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, parse_quote};

use crate::module::Script;
use crate::route::{Argument, Kind, Route};

/// What `#[config]` stands for.
pub(crate) fn config_attributes() -> Vec<Attribute> {
    vec![
        parse_quote!(#[derive(::switchhook_sdk::private::serde::Deserialize)]),
        parse_quote!(#[serde(
            crate = "switchhook_sdk::private::serde",
            rename_all = "kebab-case",
            deny_unknown_fields
        )]),
    ]
}

pub(crate) fn script(script: Script) -> TokenStream {
    let Script {
        module,
        items,
        routes,
        config,
        initial,
    } = script;
    let (attributes, visibility, name) = (&module.attrs, &module.vis, &module.ident);
    let constants = routes.iter().filter_map(constant);
    let handlers = routes.iter().filter_map(handler);
    let functions = functions(&routes);
    let state = match (&initial, &config) {
        (Some(returned), _) => {
            quote!(<#returned as ::switchhook_sdk::private::Initial>::State)
        }
        (None, Some(config)) => quote!(#config),
        (None, None) => quote!(()),
    };
    let init = init(&routes, config.is_some());
    quote! {
        #(#attributes)*
        #visibility mod #name {
            #[allow(unused_imports)]
            use super::*;

            #(#items)*
            #(#constants)*

            /// The script, for the host or the test kit.
            #[allow(dead_code)]
            pub struct Script;

            // natively nothing else makes one, and the routes would be called dead
            const _: Script = Script;

            type __State = #state;

            ::std::thread_local! {
                static __STATE: ::switchhook_sdk::private::State<__State> =
                    const { ::std::cell::RefCell::new(::core::option::Option::None) };
            }

            impl ::switchhook_sdk::Script for Script {
                const HANDLERS: &'static [(::switchhook_sdk::Family, &'static str)] = &[#(#handlers),*];

                fn init(config: &str) -> ::switchhook_sdk::Result<()> {
                    let state: __State = #init;
                    __STATE.set(::core::option::Option::Some(state));
                    ::core::result::Result::Ok(())
                }

                #functions
            }

            #[cfg(target_arch = "wasm32")]
            #[allow(unsafe_code, missing_docs, unused_qualifications, clippy::all)]
            const _: () = {
                use ::switchhook_sdk::bindings;
                type Exported = ::switchhook_sdk::Exports<Script>;
                ::switchhook_sdk::__export!(Exported with_types_in bindings);
            };
        }
    }
}

fn init(routes: &[Route], config: bool) -> TokenStream {
    match routes.iter().find(|route| route.kind == Kind::Init) {
        Some(Route {
            function,
            parameters,
            ..
        }) => {
            let arguments =
                (0..*parameters).map(|_| quote!(::switchhook_sdk::private::read(config)?));
            quote!(::switchhook_sdk::private::Initial::ready(#function(#(#arguments),*))?)
        }
        None if config => quote!(::switchhook_sdk::private::read(config)?),
        None => quote!({
            let _ = config;
        }),
    }
}

fn constant(route: &Route) -> Option<TokenStream> {
    let kind = route.kind.constant()?;
    let (constant, name) = (route.constant(), &route.name);
    Some(quote! {
        #[allow(dead_code, missing_docs)]
        pub const #constant: ::switchhook_sdk::#kind = ::switchhook_sdk::#kind::named(#name);
    })
}

fn handler(route: &Route) -> Option<TokenStream> {
    let (family, name) = match route.kind {
        Kind::Request => (quote!(RequestRoute), ""),
        Kind::Reply => (quote!(ReplyRoute), ""),
        Kind::OnSend => (quote!(OnsendRoute), ""),
        Kind::Branch => (quote!(BranchRoute), route.name.as_str()),
        Kind::OnReply => (quote!(OnreplyRoute), route.name.as_str()),
        Kind::Failure => (quote!(FailureRoute), route.name.as_str()),
        Kind::Event => (quote!(RegistrarRoute), ""),
        Kind::Message => (quote!(ErlangRoute), route.name.as_str()),
        Kind::ErlangEvent => (quote!(ErlangEvent), route.name.as_str()),
        Kind::Dialog => (quote!(DialogRoute), route.name.as_str()),
        Kind::Command => (quote!(RpcRoute), route.name.as_str()),
        Kind::BusMessage => (quote!(DmqRoute), route.name.as_str()),
        Kind::BusEvent => (quote!(DmqEvent), route.name.as_str()),
        Kind::OwnReply => (quote!(UacRoute), route.name.as_str()),
        Kind::Init | Kind::ExportState | Kind::ImportState => return None,
    };
    Some(quote!((::switchhook_sdk::Family::#family, #name)))
}

/// The trait's functions for the kinds of route that there are.
fn functions(routes: &[Route]) -> TokenStream {
    let of = |kind: Kind| -> Vec<&Route> { routes.iter().filter(|r| r.kind == kind).collect() };
    let (request, reply) = (
        quote!(req: &mut ::switchhook_sdk::Request),
        quote!(reply: &mut ::switchhook_sdk::Reply),
    );
    let outcome = quote!(::switchhook_sdk::Outcome);
    let mut functions = TokenStream::new();

    let single = [
        (Kind::Request, "on_request", quote!(#request)),
        (Kind::Reply, "on_reply", quote!(#reply)),
        (Kind::OnSend, "on_send", quote!(#request)),
        (
            Kind::Event,
            "on_expired",
            quote!(contact: &::switchhook_sdk::registrar::Binding),
        ),
    ];
    for (kind, function, parameters) in single {
        if let [route, ..] = of(kind).as_slice() {
            let (function, call) = (format_ident!("{function}"), call(route));
            functions.extend(quote! {
                #[allow(unused_variables)]
                fn #function(#parameters) -> #outcome { #call }
            });
        }
    }

    let named = [
        (Kind::Branch, "on_branch", quote!(#request)),
        (Kind::OnReply, "on_branch_reply", quote!(#reply, #request)),
        (Kind::Failure, "on_failure", quote!(#request, #reply)),
        (
            Kind::Message,
            "on_message",
            quote!(msg: &mut ::switchhook_sdk::erlang::Message),
        ),
        (
            Kind::BusMessage,
            "on_bus_message",
            quote!(msg: &mut ::switchhook_sdk::dmq::Message),
        ),
        (
            Kind::OwnReply,
            "on_own_reply",
            quote!(reply: &::switchhook_sdk::uac::Reply),
        ),
        (
            Kind::Dialog,
            "on_dialog",
            quote!(info: &::switchhook_sdk::dialog::Info),
        ),
    ];
    for (kind, function, parameters) in named {
        let routes = of(kind);
        if routes.is_empty() {
            continue;
        }
        let function = format_ident!("{function}");
        let arms = routes.iter().map(|route| {
            let (name, call) = (&route.name, call(route));
            quote!(#name => { #call })
        });
        let unknown = format!("this script has no {} ", kind.attribute());
        functions.extend(quote! {
            #[allow(unused_variables)]
            fn #function(name: &str, #parameters) -> #outcome {
                match name {
                    #(#arms)*
                    _ => ::core::result::Result::Err(::switchhook_sdk::Error::new([#unknown, name].concat())),
                }
            }
        });
    }
    functions.extend(events(&of(Kind::ErlangEvent), "on_erlang_event", "erlang"));
    functions.extend(events(&of(Kind::BusEvent), "on_bus_event", "dmq"));
    functions.extend(commands(&of(Kind::Command)));
    functions.extend(hand_over(&of(Kind::ExportState), &of(Kind::ImportState)));
    functions
}

/// What befell others, told apart by name: the events of that module of the SDK.
fn events(routes: &[&Route], function: &str, module: &str) -> TokenStream {
    if routes.is_empty() {
        return TokenStream::new();
    }
    let arms = routes.iter().map(|route| {
        let (name, call) = (&route.name, call(route));
        quote!(#name => { #call })
    });
    let (function, module) = (format_ident!("{function}"), format_ident!("{module}"));
    quote! {
        fn #function(event: &::switchhook_sdk::#module::Event) -> ::switchhook_sdk::Outcome {
            match event.name() {
                #(#arms)*
                _ => ::core::result::Result::Ok(::switchhook_sdk::End::Next),
            }
        }
    }
}

fn commands(routes: &[&Route]) -> TokenStream {
    if routes.is_empty() {
        return TokenStream::new();
    }
    let documented = routes.iter().map(|route| {
        let (name, doc) = (&route.name, &route.doc);
        quote!((#name, #doc))
    });
    let arms = routes.iter().map(|route| {
        let (name, call) = (&route.name, call(route));
        quote!(#name => ::switchhook_sdk::private::answer(given, |params| #call),)
    });
    quote! {
        const COMMANDS: &'static [(&'static str, &'static str)] = &[#(#documented),*];

        #[allow(unused_variables)]
        fn on_command(name: &str, given: ::std::string::String) -> ::switchhook_sdk::Result<::std::string::String> {
            match name {
                #(#arms)*
                _ => ::core::result::Result::Err(::switchhook_sdk::Error::new(["this script has no command ", name].concat())),
            }
        }
    }
}

fn hand_over(export: &[&Route], import: &[&Route]) -> TokenStream {
    let export = export.first().map(|route| {
        let function = &route.function;
        quote! {
            fn export_state() -> ::core::option::Option<::std::vec::Vec<u8>> {
                ::switchhook_sdk::private::with(&__STATE, |state| ::core::result::Result::Ok(#function(state)))
                    .ok()
                    .flatten()
            }
        }
    });
    let import = import.first().map(|route| {
        let function = &route.function;
        quote! {
            fn import_state(bytes: ::std::vec::Vec<u8>) -> ::switchhook_sdk::Result<()> {
                ::switchhook_sdk::private::with(&__STATE, |state| #function(state, &bytes))
            }
        }
    });
    quote!(#export #import)
}

fn call(route: &Route) -> TokenStream {
    let function: &Ident = &route.function;
    let arguments = route.arguments.iter().map(|argument| match argument {
        Argument::Request => quote!(req),
        Argument::Reply => quote!(reply),
        Argument::Contact => quote!(contact),
        Argument::Message => quote!(msg),
        Argument::Event => quote!(event),
        Argument::Dialog => quote!(info),
        Argument::Params => quote!(params),
        Argument::State => quote!(state),
    });
    let call = quote!(#function(#(#arguments),*));
    if route.arguments.contains(&Argument::State) {
        quote!(::switchhook_sdk::private::with(&__STATE, |state| #call))
    } else {
        call
    }
}
