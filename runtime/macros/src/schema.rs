//! The schema of a message: the one `unsafe impl` that this crate writes into other people's code.
//!
//! Its promise is that archives of the type can be read unchecked. It holds because [`crate::message`] refuses every
//! way of archiving but rkyv's own derives, and because every field is asked for a schema of its own.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields, Ident, Type};

use crate::message::{Arguments, fields, is_marked};
use crate::text::canonical;

/// `impl Schema`, under the name of the arguments or under the type's path.
pub(crate) fn schema(input: &DeriveInput, arguments: &Arguments) -> TokenStream {
    let own = &input.ident;
    let bulk = arguments.bulk;
    let name = match &arguments.name {
        Some(name) => quote!(#name),
        None => {
            let own = own.to_string();
            quote!(::core::concat!(::core::module_path!(), "::", #own))
        }
    };
    let pieces = pieces(&input.data);
    let recursive: Vec<&Type> =
        fields(&input.data).filter(|field| is_marked(field)).map(|field| &field.ty).collect();
    let others: Vec<&Type> =
        fields(&input.data).filter(|field| !is_marked(field)).map(|field| &field.ty).collect();
    // A field that cannot be asked may hold a `Local`; saying yes for nothing costs sixteen bytes a message.
    let circle_may_hold_locals = !recursive.is_empty();
    quote! {
        // SAFETY: the type is archived by rkyv's own derives over fields that are schemas themselves.
        unsafe impl ::mainspring::message::Schema for #own {
            const NAME: &'static str = #name;
            const FINGERPRINT: u64 = ::mainspring::message::Fingerprint::of(Self::NAME)
                #pieces
                .layout(
                    ::core::mem::size_of::<::mainspring::Archived<Self>>(),
                    ::core::mem::align_of::<::mainspring::Archived<Self>>(),
                )
                .value();
            const BULK: bool = #bulk;
            const HOLDS_LOCALS: bool = #circle_may_hold_locals
                #(|| <#others as ::mainspring::message::Schema>::HOLDS_LOCALS)*;
        }

        const _: () = {
            #(::mainspring::frame::schema::assert_schema::<#recursive>();)*
        };
    }
}

/// The calls that add the variants and fields, in the order of their declaration.
fn pieces(data: &Data) -> TokenStream {
    match data {
        Data::Struct(data) => field_pieces(&data.fields),
        Data::Enum(data) => data
            .variants
            .iter()
            .map(|variant| {
                let name = variant.ident.to_string();
                let discriminant = variant
                    .discriminant
                    .as_ref()
                    .map_or(String::new(), |(_, value)| canonical(value));
                let fields = field_pieces(&variant.fields);
                quote!(.variant(#name, #discriminant) #fields)
            })
            .collect(),
        Data::Union(_) => TokenStream::new(),
    }
}

fn field_pieces(fields: &Fields) -> TokenStream {
    fields
        .iter()
        .enumerate()
        .map(|(position, field)| {
            let name = field.ident.as_ref().map_or(position.to_string(), Ident::to_string);
            let ty = &field.ty;
            let text = canonical(ty);
            let fingerprint = if is_marked(field) {
                quote!(0)
            } else {
                quote!(<#ty as ::mainspring::message::Schema>::FINGERPRINT)
            };
            quote!(.field(#name, #text, #fingerprint))
        })
        .collect()
}
