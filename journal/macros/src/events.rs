//! `#[events]`: the enum of an entity's events, its borrowed form, and the way between records and both.
//!
//! A record holds the archive of one event under that event's own name, never of the enum. So the order of the
//! variants is of no consequence to what was written before.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, Fields, FieldsUnnamed, Ident, ItemEnum, Meta, Path, Result, Token, Type,
    Variant,
};

use crate::upcast::{Upcast, assertions, internal, upcasts};

/// A variant and the one event in it.
struct Part<'a> {
    variant: &'a Variant,
    event: &'a Type,
}

/// The enum, its borrowed form, `From` for each event, and `impl Events`.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let older = parse_arguments.parse2(arguments)?;
    let item: ItemEnum = syn::parse2(item).map_err(|error| {
        Error::new(error.span(), "#[events] goes on an enum with one variant for each event")
    })?;
    let parts = parts(&item)?;
    let borrowed = format_ident!("Archived{}", item.ident);
    let borrowed_item = borrowed_item(&item, &parts, &borrowed);
    let conversions = conversions(&item.ident, &parts);
    let implementation = implementation(&item.ident, &parts, &borrowed, &older);
    let own = &item.ident;
    let events: Vec<&Type> = parts.iter().map(|part| part.event).collect();
    let readable = quote!(<#own as ::mainspring_journal::schema::Events>::READABLE);
    let assertions = assertions(&readable, &events, &older);
    Ok(quote! {
        #item
        #borrowed_item
        #conversions
        #implementation
        #assertions
    })
}

fn parse_arguments(input: ParseStream<'_>) -> Result<Vec<Upcast>> {
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let refusal = "#[events] accepts nothing but `upcast(OlderEvent => function, ..)`";
    let key: Ident = input.parse().map_err(|error| Error::new(error.span(), refusal))?;
    if key != "upcast" {
        return Err(Error::new_spanned(key, refusal));
    }
    let older = upcasts(input)?;
    if input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
    }
    if input.is_empty() { Ok(older) } else { Err(input.error(refusal)) }
}

fn parts(item: &ItemEnum) -> Result<Vec<Part<'_>>> {
    if !item.generics.params.is_empty() || item.generics.where_clause.is_some() {
        let advice = "an enum of events cannot be generic: its events have fixed layouts";
        return Err(Error::new_spanned(&item.generics, advice));
    }
    if item.variants.is_empty() {
        let advice = "an enum of events needs at least one variant, such as `Opened(Opened)`";
        return Err(Error::new_spanned(&item.ident, advice));
    }
    item.variants.iter().map(part).collect()
}

fn part(variant: &Variant) -> Result<Part<'_>> {
    if let Some(condition) = variant.attrs.iter().find(|attribute| is_condition(attribute)) {
        return Err(Error::new_spanned(
            condition,
            "an entity has the same events in every build: put the condition on the whole type",
        ));
    }
    if let Some((_, value)) = &variant.discriminant {
        let advice = "a variant has no number of its own: its event is known by its name";
        return Err(Error::new_spanned(value, advice));
    }
    match &variant.fields {
        Fields::Unnamed(FieldsUnnamed { unnamed, .. }) if unnamed.len() == 1 => {
            Ok(Part { variant, event: &unnamed[0].ty })
        }
        _ => Err(Error::new_spanned(
            variant,
            format!(
                "a variant holds exactly one event, unnamed: `{0}({0})`, where `{0}` is an `#[event]`",
                variant.ident
            ),
        )),
    }
}

fn is_condition(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
}

/// `pub enum ArchivedAccountEvent<'a> { Deposited(&'a Archived<Deposited>), .. }`
fn borrowed_item(item: &ItemEnum, parts: &[Part<'_>], borrowed: &Ident) -> TokenStream {
    let visibility = &item.vis;
    let debug = derives_debug(&item.attrs).then(|| quote!(, ::core::fmt::Debug));
    let text = format!("One event of [`{}`], read where its archive lies.", item.ident);
    let variants = parts.iter().map(|part| {
        let name = &part.variant.ident;
        let event = part.event;
        let docs = part.variant.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
        quote! {
            #(#docs)*
            #name(&'a ::mainspring::Archived<#event>),
        }
    });
    quote! {
        #[doc = #text]
        #[allow(missing_docs)]
        #[derive(::core::clone::Clone, ::core::marker::Copy #debug)]
        #visibility enum #borrowed<'a> {
            #(#variants)*
        }
    }
}

fn conversions(own: &Ident, parts: &[Part<'_>]) -> TokenStream {
    parts
        .iter()
        .map(|Part { variant, event }| {
            let name = &variant.ident;
            quote! {
                impl ::core::convert::From<#event> for #own {
                    fn from(event: #event) -> Self {
                        Self::#name(event)
                    }
                }
            }
        })
        .collect()
}

fn implementation(
    own: &Ident,
    parts: &[Part<'_>],
    borrowed: &Ident,
    older: &[Upcast],
) -> TokenStream {
    let schema = quote!(::mainspring_journal::schema);
    let (reader, payload, apply) = (internal("reader"), internal("payload"), internal("apply"));
    let names: Vec<&Ident> = parts.iter().map(|part| &part.variant.ident).collect();
    let events: Vec<&Type> = parts.iter().map(|part| part.event).collect();
    let indices: Vec<usize> = (0..parts.len()).collect();
    let older_types: Vec<&Type> = older.iter().map(|upcast| &upcast.older).collect();
    let functions = older.iter().map(|upcast| &upcast.function);
    let older_indices = parts.len()..parts.len() + older.len();
    quote! {
        impl #schema::Events for #own {
            type Archived<'a> = #borrowed<'a>;

            const LAYOUTS: &'static [#schema::Layout] = &[
                #(<#events as #schema::Event>::LAYOUT,)*
            ];
            const READABLE: &'static [#schema::Layout] = &[
                #(<#events as #schema::Event>::LAYOUT,)*
                #(<#older_types as #schema::Event>::LAYOUT,)*
            ];

            fn layout(&self) -> usize {
                match self {
                    #(Self::#names(_) => #indices,)*
                }
            }

            fn write(
                &self,
                into: &mut #schema::EventBuffer,
            ) -> ::core::result::Result<::core::ops::Range<usize>, #schema::WriteError> {
                match self {
                    #(Self::#names(event) => into.push(event),)*
                }
            }

            fn read_back(
                &self,
                #payload: &mut #schema::EventBuffer,
                #apply: &mut dyn ::core::ops::FnMut(#borrowed<'_>),
            ) -> ::core::result::Result<(), #schema::SchemaError> {
                match self {
                    #(Self::#names(event) => {
                        #payload.read_back(event, |archived| #apply(#borrowed::#names(archived)))
                    })*
                }
            }

            fn read(
                #reader: #schema::Reader,
                #payload: &[u8],
                #apply: &mut dyn ::core::ops::FnMut(#borrowed<'_>),
            ) -> ::core::result::Result<(), #schema::SchemaError> {
                match #reader.index_in(<Self as #schema::Events>::READABLE) {
                    #(::core::option::Option::Some(#indices) => {
                        #apply(#borrowed::#names(#schema::read_event::<#events>(#payload)?));
                        ::core::result::Result::Ok(())
                    })*
                    #(::core::option::Option::Some(#older_indices) => {
                        #schema::upcast::<#older_types, Self, _>(#payload, #functions, #apply)
                    })*
                    _ => ::core::result::Result::Err(#schema::SchemaError::ForeignReader),
                }
            }

            fn own(
                #payload: #borrowed<'_>,
            ) -> ::core::result::Result<Self, #schema::SchemaError> {
                match #payload {
                    #(#borrowed::#names(event) => {
                        ::core::result::Result::Ok(Self::#names(#schema::own_event::<#events>(event)?))
                    })*
                }
            }
        }
    }
}

/// Whether a derive that stands behind the attribute names `Debug`.
fn derives_debug(attributes: &[Attribute]) -> bool {
    let derived = attributes.iter().filter(|attribute| attribute.path().is_ident("derive"));
    derived
        .filter_map(|attribute| match &attribute.meta {
            Meta::List(list) => {
                list.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok()
            }
            _ => None,
        })
        .flatten()
        .any(|path| path.segments.last().is_some_and(|last| last.ident == "Debug"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(arguments: TokenStream, item: TokenStream) -> String {
        match expand(arguments, item) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_enum_with_one_event_a_variant_is_accepted() {
        assert_eq!(
            refusal(
                quote!(),
                quote!(
                    enum E {
                        A(A),
                        B(b::B),
                    }
                )
            ),
            ""
        );
        let older = quote!(upcast(A1 => |_| None, b::B1 => b::from_v1,),);
        assert_eq!(
            refusal(
                older,
                quote!(
                    enum E {
                        A(A),
                    }
                )
            ),
            ""
        );
    }

    #[test]
    fn what_is_no_set_of_events_is_refused_by_what_is_wrong() {
        let refused = |item| refusal(quote!(), item);
        assert!(
            refused(quote!(
                struct E {
                    a: A,
                }
            ))
            .contains("goes on an enum")
        );
        assert!(
            refused(quote!(
                enum E {}
            ))
            .contains("at least one variant")
        );
        assert!(
            refused(quote!(
                enum E<T> {
                    A(T),
                }
            ))
            .contains("cannot be generic")
        );
        assert!(
            refused(quote!(
                enum E {
                    A(A) = 3,
                }
            ))
            .contains("number of its own")
        );
        assert!(
            refused(quote!(
                enum E {
                    #[cfg(test)]
                    A(A),
                }
            ))
            .contains("condition")
        );
        for variant in [quote!(A), quote!(A()), quote!(A(A, A)), quote!(A { a: A })] {
            assert!(refused(quote!(enum E { #variant })).contains("exactly one event"));
        }
    }

    #[test]
    fn other_arguments_than_upcast_are_refused() {
        for arguments in [quote!(upcasts(A => b)), quote!(upcast(A => b), more), quote!(3)] {
            let refusal = refusal(
                arguments,
                quote!(
                    enum E {
                        A(A),
                    }
                ),
            );
            assert!(refusal.contains("accepts nothing but `upcast("), "{refusal}");
        }
    }

    #[test]
    fn only_a_derive_of_debug_makes_the_borrowed_form_debug() {
        let is_debug = |item: TokenStream| {
            let expansion = expand(quote!(), item).expect("a set of events").to_string();
            expansion.contains("fmt :: Debug")
        };
        assert!(is_debug(quote!(
            #[derive(Clone, Debug)]
            enum E {
                A(A),
            }
        )));
        assert!(is_debug(quote!(
            #[derive(std::fmt::Debug)]
            enum E {
                A(A),
            }
        )));
        assert!(!is_debug(quote!(
            #[derive(Clone)]
            enum E {
                Debug(Debug),
            }
        )));
    }
}
