//! The two sides of the contract: what a component may import, and what it exports.
//!
//! Imports are held against the grants before anything is linked, so that a missing one is told by name and with the line
//! to write. Every exported interface is optional; which ones there are is looked up once for each generation.

use std::fmt;

use switchhook_bindings::exports::switchhook::script as exports;
use switchhook_bindings::exports::switchhook::script::lifecycle::Family as WitFamily;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre};

use crate::context::Context;
use crate::error::{LoadError, message};
use crate::event::Route;
use crate::grants::{Grants, Interface, PACKAGE, VERSION};

/// A kind of route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `request-route`.
    Request,
    /// `reply-route`.
    Reply,
    /// `onsend-route`.
    Onsend,
    /// `branch-route`.
    Branch,
    /// `onreply-route`.
    Onreply,
    /// `failure-route`.
    Failure,
    /// `registrar-route`.
    Registrar,
    /// `erlang-route`, messages: the name is a process's.
    Erlang,
    /// `erlang-route`, events: the name is the event's.
    ErlangEvent,
    /// `rpc-route`.
    Rpc,
    /// `dmq-route`, messages: the name is a channel's.
    Dmq,
    /// `dmq-route`, events: the name is the event's.
    DmqEvent,
    /// `dialog-route`: the name is the event's.
    Dialog,
    /// `uac-route`.
    Uac,
}

impl Family {
    /// The family of an event's route.
    pub const fn of(route: &Route) -> Self {
        match route {
            Route::Request => Self::Request,
            Route::Reply => Self::Reply,
            Route::Onsend => Self::Onsend,
            Route::Branch { .. } => Self::Branch,
            Route::OnReply { .. } => Self::Onreply,
            Route::Failure { .. } => Self::Failure,
            Route::ContactExpired(_) => Self::Registrar,
            Route::ErlangMessage { .. } => Self::Erlang,
            Route::ErlangEvent(_) => Self::ErlangEvent,
            Route::Command(_) => Self::Rpc,
            Route::DmqMessage(_) => Self::Dmq,
            Route::DmqEvent(_) => Self::DmqEvent,
            Route::Dialog { .. } => Self::Dialog,
            Route::Uac { .. } => Self::Uac,
        }
    }

    /// The interface in wit/.
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Request => "request-route",
            Self::Reply => "reply-route",
            Self::Onsend => "onsend-route",
            Self::Branch => "branch-route",
            Self::Onreply => "onreply-route",
            Self::Failure => "failure-route",
            Self::Registrar => "registrar-route",
            Self::Erlang | Self::ErlangEvent => "erlang-route",
            Self::Rpc => "rpc-route",
            Self::Dmq | Self::DmqEvent => "dmq-route",
            Self::Dialog => "dialog-route",
            Self::Uac => "uac-route",
        }
    }

    /// Whether its routes have names.
    pub const fn is_named(self) -> bool {
        matches!(
            self,
            Self::Branch
                | Self::Onreply
                | Self::Failure
                | Self::Erlang
                | Self::ErlangEvent
                | Self::Rpc
                | Self::Dmq
                | Self::DmqEvent
                | Self::Dialog
                | Self::Uac
        )
    }
}

impl From<WitFamily> for Family {
    fn from(family: WitFamily) -> Self {
        match family {
            WitFamily::RequestRoute => Self::Request,
            WitFamily::ReplyRoute => Self::Reply,
            WitFamily::OnsendRoute => Self::Onsend,
            WitFamily::BranchRoute => Self::Branch,
            WitFamily::OnreplyRoute => Self::Onreply,
            WitFamily::FailureRoute => Self::Failure,
            WitFamily::RegistrarRoute => Self::Registrar,
            WitFamily::ErlangRoute => Self::Erlang,
            WitFamily::ErlangEvent => Self::ErlangEvent,
            WitFamily::RpcRoute => Self::Rpc,
            WitFamily::DmqRoute => Self::Dmq,
            WitFamily::DmqEvent => Self::DmqEvent,
            WitFamily::DialogRoute => Self::Dialog,
            WitFamily::UacRoute => Self::Uac,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.interface())
    }
}

/// Holds what a component imports against what its script may use.
pub(crate) fn check_imports(
    script: &str,
    engine: &Engine,
    component: &Component,
    grants: Grants,
) -> Result<(), LoadError> {
    let mut missing = Vec::new();
    let mut unknown = Vec::new();
    let ty = component.component_type();
    for (name, item) in ty.imports(engine) {
        // An interface of which only types are used does nothing: it needs no grant, and no link.
        let only_types = match &item.ty {
            ComponentItem::ComponentInstance(instance) => instance
                .exports(engine)
                .all(|(_, item)| matches!(item.ty, ComponentItem::Type(_))),
            _ => false,
        };
        match interface(name) {
            _ if only_types => {}
            Some(interface) if grants.has(interface) => {}
            Some(interface) => missing.push(interface),
            None => unknown.push(name.to_owned()),
        }
    }
    if !unknown.is_empty() {
        return Err(LoadError::UnknownImports {
            script: script.into(),
            imports: unknown,
        });
    }
    if !missing.is_empty() {
        let needed: Grants = grants.iter().chain(missing.iter().copied()).collect();
        let quoted: Vec<_> = needed.iter().map(|grant| format!("\"{grant}\"")).collect();
        return Err(LoadError::NotGranted {
            script: script.into(),
            missing: missing.iter().map(|interface| interface.name()).collect(),
            grants: quoted.join(", "),
        });
    }
    Ok(())
}

/// The interface that an import's name means, if it is one of a version that this host speaks.
fn interface(import: &str) -> Option<Interface> {
    let (path, version) = import.split_once('@')?;
    let name = path.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    let compatible = VERSION.rsplit_once('.').map(|(minor, _)| minor);
    if version.rsplit_once('.').map(|(minor, _)| minor) != compatible {
        return None;
    }
    Interface::ALL
        .iter()
        .copied()
        .find(|interface| interface.name() == name)
}

macro_rules! exported {
    ($($field:ident: $module:ident;)*) => {
        /// Where a component's exports are.
        pub(crate) struct Exports {
            pub(crate) pre: InstancePre<Context>,
            $(pub(crate) $field: Option<exports::$module::GuestIndices>,)*
        }

        /// The exports of one instance.
        pub(crate) struct Handles {
            $(pub(crate) $field: Option<exports::$module::Guest>,)*
        }

        impl Exports {
            /// Looks them up. An interface that is there must be there whole.
            pub(crate) fn find(script: &str, pre: InstancePre<Context>) -> Result<Self, LoadError> {
                let invalid = |error: wasmtime::Error| LoadError::Invalid(message(&error));
                let exports = Self {
                    $($field: {
                        let name = stringify!($module).replace('_', "-");
                        let name = format!("{PACKAGE}/{name}@{VERSION}");
                        match pre.component().get_export_index(None, &name) {
                            Some(_) => Some(exports::$module::GuestIndices::new(&pre).map_err(invalid)?),
                            None => None,
                        }
                    },)*
                    pre,
                };
                if FAMILIES.iter().any(|family| exports.has(*family)) {
                    Ok(exports)
                } else {
                    Err(LoadError::NoExports(script.into()))
                }
            }

            /// Loads them from an instance.
            pub(crate) fn load(
                &self,
                mut store: impl wasmtime::AsContextMut,
                instance: &wasmtime::component::Instance,
            ) -> wasmtime::Result<Handles> {
                let mut store = store.as_context_mut();
                Ok(Handles {
                    $($field: match &self.$field {
                        Some(indices) => Some(indices.load(&mut store, instance)?),
                        None => None,
                    },)*
                })
            }
        }
    };
}

exported! {
    lifecycle: lifecycle;
    request: request_route;
    reply: reply_route;
    onsend: onsend_route;
    branch: branch_route;
    onreply: onreply_route;
    failure: failure_route;
    registrar: registrar_route;
    erlang: erlang_route;
    rpc: rpc_route;
    dmq: dmq_route;
    dialog: dialog_route;
    uac: uac_route;
}

const FAMILIES: [Family; 14] = [
    Family::Request,
    Family::Reply,
    Family::Onsend,
    Family::Branch,
    Family::Onreply,
    Family::Failure,
    Family::Registrar,
    Family::Erlang,
    Family::ErlangEvent,
    Family::Rpc,
    Family::Dmq,
    Family::DmqEvent,
    Family::Dialog,
    Family::Uac,
];

impl Exports {
    /// Whether that family's interface is exported.
    pub(crate) fn has(&self, family: Family) -> bool {
        match family {
            Family::Request => self.request.is_some(),
            Family::Reply => self.reply.is_some(),
            Family::Onsend => self.onsend.is_some(),
            Family::Branch => self.branch.is_some(),
            Family::Onreply => self.onreply.is_some(),
            Family::Failure => self.failure.is_some(),
            Family::Registrar => self.registrar.is_some(),
            Family::Erlang | Family::ErlangEvent => self.erlang.is_some(),
            Family::Rpc => self.rpc.is_some(),
            Family::Dmq | Family::DmqEvent => self.dmq.is_some(),
            Family::Dialog => self.dialog.is_some(),
            Family::Uac => self.uac.is_some(),
        }
    }
}
