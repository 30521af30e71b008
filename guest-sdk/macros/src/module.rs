//! The module as a whole: which routes, which config, and that nothing is there twice.

use proc_macro2::{Span, TokenStream};
use syn::{Error, Ident, Item, ItemMod, Result, ReturnType, Type};

use crate::expand;
use crate::route::{Kind, Route};

/// What a script's module holds.
pub(crate) struct Script {
    pub(crate) module: ItemMod,
    pub(crate) items: Vec<Item>,
    pub(crate) routes: Vec<Route>,
    /// The type marked `#[config]`.
    pub(crate) config: Option<Ident>,
    /// What `#[init]` returns.
    pub(crate) initial: Option<Type>,
}

pub(crate) fn script(arguments: TokenStream, module: TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(
            arguments,
            "`#[switchhook_sdk::script]` takes nothing: what a script is told stands in switchhook.toml",
        ));
    }
    let whole = module.clone();
    let mut module: ItemMod = syn::parse2(module).map_err(|_| {
        Error::new_spanned(
            whole,
            "`#[switchhook_sdk::script]` marks a module: `mod routes { ... }`",
        )
    })?;
    let Some((_, mut items)) = module.content.take() else {
        return Err(Error::new_spanned(
            &module,
            "the routes are written here: `mod routes { ... }`, not in a file of their own",
        ));
    };

    let mut routes: Vec<Route> = Vec::new();
    let (mut config, mut initial) = (None, None);
    for item in &mut items {
        match item {
            Item::Fn(function) => {
                let Some(route) = Route::read(function)? else {
                    continue;
                };
                refuse_twice(&routes, &route)?;
                if route.kind == Kind::Init {
                    let ReturnType::Type(_, returned) = &function.sig.output else {
                        return Err(Error::new(
                            route.span,
                            "`#[init]` returns the script's state: `fn init(config: Config) -> Result<State>`",
                        ));
                    };
                    initial = Some((**returned).clone());
                }
                routes.push(route);
            }
            Item::Struct(structure) => {
                let Some(at) = structure.attrs.iter().position(|a| {
                    a.path()
                        .segments
                        .last()
                        .is_some_and(|s| s.ident == "config")
                }) else {
                    continue;
                };
                if config.is_some() {
                    return Err(Error::new_spanned(
                        structure,
                        "a script has one `#[config]`",
                    ));
                }
                structure.attrs.remove(at);
                // first, because a derive comes before the attributes that belong to it
                structure.attrs.splice(0..0, expand::config_attributes());
                config = Some(structure.ident.clone());
            }
            _ => {}
        }
    }
    if !routes
        .iter()
        .any(|r| !matches!(r.kind, Kind::Init | Kind::ExportState | Kind::ImportState))
    {
        return Err(Error::new(
            Span::call_site(),
            "a script without routes: mark a function `#[request_route]`",
        ));
    }
    Ok(expand::script(Script {
        module,
        items,
        routes,
        config,
        initial,
    }))
}

fn refuse_twice(routes: &[Route], new: &Route) -> Result<()> {
    let same = |old: &&Route| old.kind == new.kind && old.name == new.name;
    let Some(old) = routes.iter().find(same) else {
        return Ok(());
    };
    let attribute = new.kind.attribute();
    let what = if new.name.is_empty() {
        format!("`#[{attribute}]`")
    } else {
        format!("`#[{attribute}({:?})]`", new.name)
    };
    Err(Error::new(
        new.span,
        format!("there is a {what} already: `fn {}`", old.function),
    ))
}
