//! `#[event]` and `#[state]`: a message with a name and a version of its own.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{DeriveInput, Error, Result};

use crate::declaration::{Attribute, Declaration, declaration};
use crate::upcast::{Upcast, assertions, internal};

/// The item as a message, and `impl Event`.
pub(crate) fn event(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let (declaration, input) = read(Attribute::Event, arguments, item)?;
    let own = &input.ident;
    let layout = layout(&declaration);
    let message = message(&declaration, &input);
    Ok(quote! {
        #message
        impl ::mainspring_journal::schema::Event for #own {
            const LAYOUT: ::mainspring_journal::schema::Layout = #layout;
        }
    })
}

/// The item as a message, and `impl State`.
pub(crate) fn state(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let (declaration, input) = read(Attribute::State, arguments, item)?;
    let own = &input.ident;
    let layout = layout(&declaration);
    let message = message(&declaration, &input);
    let older = declaration.upcasts.iter().map(|upcast| &upcast.older);
    let read = state_read(&declaration.upcasts);
    let readable = quote!(<#own as ::mainspring_journal::schema::State>::READABLE);
    let assertions = assertions(&readable, &[own], &declaration.upcasts);
    Ok(quote! {
        #message
        impl ::mainspring_journal::schema::State for #own {
            const LAYOUT: ::mainspring_journal::schema::Layout = #layout;
            const READABLE: &'static [::mainspring_journal::schema::Layout] = &[
                <Self as ::mainspring_journal::schema::State>::LAYOUT,
                #(<#older as ::mainspring_journal::schema::State>::LAYOUT,)*
            ];
            #read
        }
        #assertions
    })
}

fn state_read(upcasts: &[Upcast]) -> TokenStream {
    let (reader, payload) = (internal("reader"), internal("payload"));
    let indices = 1..=upcasts.len();
    let arms = upcasts.iter().zip(indices).map(|(Upcast { older, function }, index)| {
        quote! {
            ::core::option::Option::Some(#index) => ::core::result::Result::Ok((#function)(
                ::mainspring_journal::schema::read_state::<#older>(#payload)?
            )),
        }
    });
    quote! {
        fn read(
            #reader: ::mainspring_journal::schema::Reader,
            #payload: &[u8],
        ) -> ::core::result::Result<Self, ::mainspring_journal::schema::SchemaError> {
            match #reader.index_in(<Self as ::mainspring_journal::schema::State>::READABLE) {
                ::core::option::Option::Some(0) => {
                    ::mainspring_journal::schema::own_state::<Self>(#payload)
                }
                #(#arms)*
                _ => ::core::result::Result::Err(
                    ::mainspring_journal::schema::SchemaError::ForeignReader
                ),
            }
        }
    }
}

fn read(
    attribute: Attribute,
    arguments: TokenStream,
    item: TokenStream,
) -> Result<(Declaration, DeriveInput)> {
    let noun = attribute.noun();
    let input: DeriveInput = syn::parse2(item).map_err(|error| {
        Error::new(error.span(), format!("#[{noun}] goes on a struct or an enum"))
    })?;
    let declaration = declaration(attribute, arguments)?;
    if !input.generics.params.is_empty() || input.generics.where_clause.is_some() {
        let article = if attribute == Attribute::Event { "an" } else { "a" };
        return Err(Error::new_spanned(
            &input.generics,
            format!(
                "{article} {noun} cannot be generic: it has one layout under one name; write one \
                 {noun} for each type that is needed"
            ),
        ));
    }
    Ok((declaration, input))
}

fn message(declaration: &Declaration, input: &DeriveInput) -> TokenStream {
    let name = &declaration.name;
    let item = input.to_token_stream();
    quote! {
        #[::mainspring::message(name = #name)]
        #item
    }
}

fn layout(declaration: &Declaration) -> TokenStream {
    let Declaration { name, version, .. } = declaration;
    quote! {
        ::mainspring_journal::schema::Layout {
            name: #name,
            version: #version,
            fingerprint: <Self as ::mainspring::message::Schema>::FINGERPRINT,
        }
    }
}
