//! The attribute macros of mainspring. They are used through the `mainspring` crate, which re-exports and documents
//! them.
#![forbid(unsafe_code)]

mod message;
mod schema;
mod text;

use proc_macro::TokenStream;

/// Makes a struct or an enum a message. Documented in `mainspring::message`, which re-exports it.
#[proc_macro_attribute]
pub fn message(arguments: TokenStream, item: TokenStream) -> TokenStream {
    message::expand(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
