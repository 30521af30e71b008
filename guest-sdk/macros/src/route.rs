//! One route: its attribute, its name, and the parameters that its kind may take.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, FnArg, Ident, ItemFn, Lit, LitStr, Meta, Result, Type};

/// The attributes that this macro knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Init,
    ExportState,
    ImportState,
    Request,
    Reply,
    OnSend,
    Branch,
    OnReply,
    Failure,
    Event,
    /// `erlang:NAME`
    Message,
    /// `erlang-event:EVENT`
    ErlangEvent,
    /// `dialog:EVENT`
    Dialog,
    Command,
    /// `dmq:CHANNEL`
    BusMessage,
    /// `dmq-event:EVENT`
    BusEvent,
    /// `uac:NAME`
    OwnReply,
}

/// The event routes that there are.
const EVENTS: &[&str] = &[
    "usrloc:contact-expired",
    "erlang:NAME",
    "erlang-event:node-up",
    "erlang-event:node-down",
    "erlang-event:node-busy",
    "erlang-event:node-ready",
    "erlang-event:exit",
    "erlang-event:down",
    "dmq:CHANNEL",
    "dmq-event:peer-up",
    "dmq-event:peer-disabled",
    "dmq-event:peer-down",
    "dmq-event:answered",
    "dialog:start",
    "dialog:end",
    "dialog:failed",
    "dialog:timeout",
    "uac:NAME",
];

impl Kind {
    pub(crate) fn of(attribute: &Attribute) -> Option<Kind> {
        // by its last segment, so that a path to the attribute works too
        let name = attribute.path().segments.last()?.ident.to_string();
        Some(match name.as_str() {
            "init" => Kind::Init,
            "export_state" => Kind::ExportState,
            "import_state" => Kind::ImportState,
            "request_route" => Kind::Request,
            "reply_route" => Kind::Reply,
            "onsend_route" => Kind::OnSend,
            "branch_route" => Kind::Branch,
            "onreply_route" => Kind::OnReply,
            "failure_route" => Kind::Failure,
            "event_route" => Kind::Event,
            "rpc" => Kind::Command,
            _ => return None,
        })
    }

    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Kind::Init => "init",
            Kind::ExportState => "export_state",
            Kind::ImportState => "import_state",
            Kind::Request => "request_route",
            Kind::Reply => "reply_route",
            Kind::OnSend => "onsend_route",
            Kind::Branch => "branch_route",
            Kind::OnReply => "onreply_route",
            Kind::Failure => "failure_route",
            Kind::Event
            | Kind::Message
            | Kind::ErlangEvent
            | Kind::BusMessage
            | Kind::BusEvent
            | Kind::Dialog
            | Kind::OwnReply => "event_route",
            Kind::Command => "rpc",
        }
    }

    /// Whether there may be several, told apart by name.
    pub(crate) fn is_named(self) -> bool {
        matches!(
            self,
            Kind::Branch
                | Kind::OnReply
                | Kind::Failure
                | Kind::Event
                | Kind::Message
                | Kind::ErlangEvent
                | Kind::Dialog
                | Kind::Command
                | Kind::BusMessage
                | Kind::BusEvent
                | Kind::OwnReply
        )
    }

    /// The type of the constant that names it.
    pub(crate) fn constant(self) -> Option<TokenStream> {
        match self {
            Kind::Branch => Some(quote!(BranchRoute)),
            Kind::OnReply => Some(quote!(OnReplyRoute)),
            Kind::Failure => Some(quote!(FailureRoute)),
            _ => None,
        }
    }

    fn takes(self, argument: Argument) -> bool {
        use Argument::*;
        match self {
            Kind::Request | Kind::OnSend | Kind::Branch => matches!(argument, Request | State),
            Kind::Reply | Kind::OwnReply => matches!(argument, Reply | State),
            Kind::OnReply | Kind::Failure => matches!(argument, Request | Reply | State),
            Kind::Event => matches!(argument, Contact | State),
            Kind::Message | Kind::BusMessage => matches!(argument, Message | State),
            Kind::ErlangEvent | Kind::BusEvent => matches!(argument, Event | State),
            Kind::Dialog => matches!(argument, Dialog | State),
            Kind::Command => matches!(argument, Params | State),
            Kind::Init | Kind::ExportState | Kind::ImportState => false,
        }
    }

    fn signature(self) -> &'static str {
        match self {
            Kind::Request | Kind::OnSend | Kind::Branch => {
                "takes `&mut Request` and, where it wants, the script's state, such as `&Config`"
            }
            Kind::Reply => {
                "takes `&mut Reply` and, where it wants, the script's state, such as `&Config`; which request it answers is not known yet"
            }
            Kind::OnReply | Kind::Failure => {
                "takes `&mut Request`, `&mut Reply` and the script's state, such as `&Config`: those that it wants, in any order"
            }
            Kind::Event => {
                "takes `&Binding` and, where it wants, the script's state, such as `&Config`"
            }
            Kind::Message => {
                "takes `&erlang::Message` and, where it wants, the script's state, such as `&Config`"
            }
            Kind::ErlangEvent => {
                "takes `&erlang::Event` and, where it wants, the script's state, such as `&Config`"
            }
            Kind::BusMessage => {
                "takes `&mut dmq::Message` and, where it wants, the script's state, such as `&Config`"
            }
            Kind::BusEvent => {
                "takes `&dmq::Event` and, where it wants, the script's state, such as `&Config`"
            }
            Kind::OwnReply => {
                "takes `&uac::Reply` and, where it wants, the script's state, such as `&Config`"
            }
            Kind::Dialog => {
                "takes `&dialog::Info` and, where it wants, the script's state, such as `&Config`"
            }
            Kind::Command => {
                "takes `&rpc::Params` and, where it wants, the script's state, such as `&Config`"
            }
            Kind::Init => "takes the config by value: `fn init(config: Config) -> Result<State>`",
            Kind::ExportState => {
                "takes the script's state: `fn export_state(state: &State) -> Option<Vec<u8>>`"
            }
            Kind::ImportState => {
                "takes the script's state and bytes: `fn import_state(state: &mut State, bytes: &[u8]) -> Result<()>`"
            }
        }
    }
}

/// What a route's parameter is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    Request,
    Reply,
    Contact,
    Message,
    Event,
    Dialog,
    Params,
    State,
}

/// A function with one of the attributes.
pub(crate) struct Route {
    pub(crate) kind: Kind,
    /// Empty where its kind has no names.
    pub(crate) name: String,
    pub(crate) function: Ident,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) parameters: usize,
    pub(crate) span: Span,
    /// The comment above it.
    pub(crate) doc: String,
}

impl Route {
    /// Takes the attribute off and reads the rest.
    pub(crate) fn read(function: &mut ItemFn) -> Result<Option<Route>> {
        let Some((at, kind)) = function
            .attrs
            .iter()
            .enumerate()
            .find_map(|(at, attribute)| Some((at, Kind::of(attribute)?)))
        else {
            return Ok(None);
        };
        let attribute = function.attrs.remove(at);
        if let Some(second) = function.attrs.iter().find(|a| Kind::of(a).is_some()) {
            return Err(Error::new(
                second.span(),
                "a function is one route: write another function that calls it",
            ));
        }
        let (kind, name) = name(kind, &attribute, &function.sig.ident)?;
        let signature = &function.sig;
        if let Some(asyncness) = &signature.asyncness {
            return Err(Error::new(
                asyncness.span(),
                "a route is no async fn: host calls that wait look like ordinary calls",
            ));
        }
        if !signature.generics.params.is_empty() {
            return Err(Error::new(
                signature.generics.span(),
                "a route has no generic parameters",
            ));
        }
        Ok(Some(Route {
            kind,
            name,
            function: signature.ident.clone(),
            arguments: arguments(kind, function)?,
            parameters: signature.inputs.len(),
            span: attribute.span(),
            doc: doc(&function.attrs),
        }))
    }

    /// The constant that names it: the function's name in capitals.
    pub(crate) fn constant(&self) -> Ident {
        Ident::new(
            &self.function.to_string().to_uppercase(),
            self.function.span(),
        )
    }
}

/// The text of the doc comments.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        let Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) = &pair.value
        else {
            return None;
        };
        pair.path
            .is_ident("doc")
            .then(|| text.value().trim().to_owned())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The kind and the name, which for events tell each other.
fn name(kind: Kind, attribute: &Attribute, function: &Ident) -> Result<(Kind, String)> {
    let name = written_name(kind, attribute, function)?;
    if kind != Kind::Event {
        return Ok((kind, name));
    }
    Ok(match name.split_once(':') {
        Some(("erlang", process)) => (Kind::Message, process.to_owned()),
        Some(("erlang-event", event)) => (Kind::ErlangEvent, event.to_owned()),
        Some(("dmq", channel)) => (Kind::BusMessage, channel.to_owned()),
        Some(("dmq-event", event)) => (Kind::BusEvent, event.to_owned()),
        Some(("uac", route)) => (Kind::OwnReply, route.to_owned()),
        Some(("dialog", event)) => (Kind::Dialog, event.to_owned()),
        _ => (kind, name),
    })
}

fn is_event(name: &str) -> bool {
    EVENTS.contains(&name)
        || ["erlang:", "dmq:", "uac:"].iter().any(|family| {
            name.strip_prefix(family)
                .is_some_and(|rest| !rest.is_empty())
        })
}

/// Whether it is `group.command`, as the host takes it.
fn is_command(name: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    name.split_once('.')
        .is_some_and(|(group, command)| is_word(group) && is_word(command))
}

fn written_name(kind: Kind, attribute: &Attribute, function: &Ident) -> Result<String> {
    let written = match &attribute.meta {
        Meta::Path(_) => None,
        _ => Some(attribute.parse_args::<LitStr>().map_err(|_| {
            Error::new(
                attribute.span(),
                format!(
                    "a name in quotes is expected: `#[{}(\"NAME\")]`",
                    kind.attribute()
                ),
            )
        })?),
    };
    match (kind, written) {
        (Kind::Event, Some(name)) if is_event(&name.value()) => Ok(name.value()),
        (Kind::Command, Some(name)) if !is_command(&name.value()) => Err(Error::new(
            name.span(),
            "a command's name is a group and a word, of letters, digits and `_`: `cdr.count`",
        )),
        (Kind::Command, None) => Err(Error::new(
            attribute.span(),
            "which command? Write `#[rpc(\"group.command\")]`",
        )),
        (Kind::Event, Some(name)) => Err(Error::new(
            name.span(),
            format!(
                "there is no event {:?}; there is {}",
                name.value(),
                EVENTS.join(", ")
            ),
        )),
        (Kind::Event, None) => Err(Error::new(
            attribute.span(),
            "which event? Write `#[event_route(\"usrloc:contact-expired\")]`",
        )),
        (kind, Some(name)) if !kind.is_named() => Err(Error::new(
            name.span(),
            format!("`#[{}]` has no name", kind.attribute()),
        )),
        (_, Some(name)) if name.value().is_empty() => {
            Err(Error::new(name.span(), "a route's name is not empty"))
        }
        (_, Some(name)) => Ok(name.value()),
        (kind, None) if kind.is_named() => Ok(function.to_string().to_uppercase()),
        (_, None) => Ok(String::new()),
    }
}

fn arguments(kind: Kind, function: &ItemFn) -> Result<Vec<Argument>> {
    if matches!(kind, Kind::Init | Kind::ExportState | Kind::ImportState) {
        return Ok(Vec::new());
    }
    let mut arguments = Vec::new();
    for input in &function.sig.inputs {
        let wrong = || {
            let message = format!("`#[{}]` {}", kind.attribute(), kind.signature());
            Error::new(input.span(), message)
        };
        let FnArg::Typed(typed) = input else {
            return Err(wrong());
        };
        let Type::Reference(reference) = &*typed.ty else {
            return Err(wrong());
        };
        let argument = match &*reference.elem {
            Type::Path(path) => match path.path.segments.last() {
                Some(last) if last.ident == "Request" => Argument::Request,
                Some(last) if last.ident == "Reply" => Argument::Reply,
                Some(last) if last.ident == "Binding" => Argument::Contact,
                Some(last) if last.ident == "Message" => Argument::Message,
                Some(last) if last.ident == "Event" => Argument::Event,
                Some(last) if last.ident == "Info" => Argument::Dialog,
                Some(last) if last.ident == "Params" => Argument::Params,
                _ => Argument::State,
            },
            _ => Argument::State,
        };
        if !kind.takes(argument) || arguments.contains(&argument) {
            return Err(wrong());
        }
        arguments.push(argument);
    }
    Ok(arguments)
}
