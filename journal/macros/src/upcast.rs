//! `upcast(DepositedV1 => deposited_from_v1, ..)`: which older types are still read, and what makes current values of
//! them.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, Result, Token, Type, parenthesized};

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
/// one. `readable` lists the current layouts first, of which there are `current`.
pub(crate) fn assertions(readable: &TokenStream, current: usize, all: usize) -> TokenStream {
    let indices = 0..all;
    quote! {
        #(const _: () = ::mainspring_journal::schema::assert_reader(#readable, #current, #indices);)*
    }
}
