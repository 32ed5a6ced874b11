//! `upcast(DepositedV1 => deposited_from_v1, ..)`: which older types are still read, and what makes current values of
//! them.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, Ident, Result, Token, Type, parenthesized};

/// One older type and its function.
pub(crate) struct Upcast {
    pub(crate) older: Type,
    pub(crate) function: Expr,
}

impl Parse for Upcast {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let older = input.parse()?;
        input.parse::<Token![=>]>()?;
        Ok(Upcast { older, function: input.parse()? })
    }
}

/// The list in parentheses behind the word `upcast`.
pub(crate) fn upcasts(input: ParseStream<'_>) -> Result<Vec<Upcast>> {
    let list;
    parenthesized!(list in input);
    let upcasts = Punctuated::<Upcast, Token![,]>::parse_terminated(&list)?;
    Ok(upcasts.into_iter().collect())
}

/// Compile-time checks of what is readable: no two readers for the same record, no older type newer than the current
/// one. `readable` is the list, the layouts of `current` types and behind them those of `older` ones.
pub(crate) fn assertions(
    readable: &TokenStream,
    current: &[impl Spanned],
    older: &[Upcast],
) -> TokenStream {
    let places = current.iter().map(Spanned::span);
    let places = places.chain(older.iter().map(|upcast| upcast.older.span()));
    let count = current.len();
    let assertion = |(index, place): (usize, Span)| {
        quote_spanned! {place=>
            const _: () =
                ::mainspring_journal::schema::assert_reader(#readable, #count, #index);
        }
    };
    places.enumerate().map(assertion).collect()
}

/// A variable of generated code, which a function of the same name in `upcast(..)` does not mean.
pub(crate) fn internal(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
