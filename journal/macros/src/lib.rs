//! The attribute macros of mainspring-journal. They are used through that crate, which re-exports and documents them.
#![forbid(unsafe_code)]

mod declaration;
mod events;
mod stored;
mod upcast;

use proc_macro::TokenStream;

/// Makes a struct or an enum an event. Documented in `mainspring_journal::event`, which re-exports it.
#[proc_macro_attribute]
pub fn event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finished(stored::event(arguments.into(), item.into()))
}

/// Makes a struct or an enum a state. Documented in `mainspring_journal::state`, which re-exports it.
#[proc_macro_attribute]
pub fn state(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finished(stored::state(arguments.into(), item.into()))
}

/// Gathers the events of an entity. Documented in `mainspring_journal::events`, which re-exports it.
#[proc_macro_attribute]
pub fn events(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finished(events::expand(arguments.into(), item.into()))
}

fn finished(expansion: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expansion.unwrap_or_else(syn::Error::into_compile_error).into()
}
