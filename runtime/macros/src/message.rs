//! `#[message]`: rkyv's derives and the schema.
//!
//! The schema is implemented here and nowhere else outside the runtime, because archives are read unchecked. So this
//! file refuses every argument by which a type could be archived in another way than by rkyv's own derives over
//! fields that are schemas themselves.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Ident, Lit, LitStr, Meta, Path,
    Result, Token, Type,
};

use crate::schema::schema;
use crate::text::canonical;

/// The tag of an archived enum is one byte.
const VARIANTS_LIMIT: usize = 256;

/// The item with its derives, and its schema.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments = parse_arguments(arguments)?;
    let mut input: DeriveInput = syn::parse2(item).map_err(|error| {
        Error::new(error.span(), "#[message] goes on a struct or an enum with known fields")
    })?;
    check_shape(&input)?;
    check_attributes(&input)?;
    name_self(&mut input)?;
    let recursive = mark_recursive_fields(&mut input);
    let schema = schema(&input, &arguments);
    let debug = is_debug(&input.attrs).then(|| quote!(derive(Debug),));
    let bounds = recursive.then(recursion_bounds);
    Ok(quote! {
        #[derive(
            ::mainspring::rkyv::Archive,
            ::mainspring::rkyv::Serialize,
            ::mainspring::rkyv::Deserialize,
        )]
        #[rkyv(crate = ::mainspring::rkyv, #debug #bounds)]
        #input
        #schema
    })
}

/// What stands behind `#[message`.
#[derive(Default)]
pub(crate) struct Arguments {
    /// `name = "..."`.
    pub name: Option<LitStr>,
    /// `bulk`.
    pub bulk: bool,
}

/// `name = "..."` and `bulk`, each once at most.
fn parse_arguments(arguments: TokenStream) -> Result<Arguments> {
    let refusal = "#[message] accepts nothing but `name = \"...\"` and `bulk`";
    let mut parsed = Arguments::default();
    let list = Punctuated::<Meta, Token![,]>::parse_terminated
        .parse2(arguments)
        .map_err(|error| Error::new(error.span(), refusal))?;
    for argument in list {
        match &argument {
            Meta::Path(path) if path.is_ident("bulk") && !parsed.bulk => parsed.bulk = true,
            Meta::NameValue(pair) if pair.path.is_ident("name") && parsed.name.is_none() => {
                let Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) = &pair.value else {
                    return Err(Error::new_spanned(&argument, refusal));
                };
                if name.value().is_empty() {
                    return Err(Error::new_spanned(
                        name,
                        "the name of a message must not be empty",
                    ));
                }
                parsed.name = Some(name.clone());
            }
            _ => return Err(Error::new_spanned(&argument, refusal)),
        }
    }
    Ok(parsed)
}

fn check_shape(input: &DeriveInput) -> Result<()> {
    if !input.generics.params.is_empty() || input.generics.where_clause.is_some() {
        return Err(Error::new_spanned(
            &input.generics,
            "a message cannot be generic: it has one schema; write one message for each type that is needed",
        ));
    }
    match &input.data {
        Data::Union(union) => Err(Error::new_spanned(
            union.union_token,
            "a union cannot be a message: its reader could not know which field is there; use an enum",
        )),
        Data::Enum(variants) if variants.variants.is_empty() => Err(Error::new_spanned(
            &input.ident,
            "an enum without variants cannot be a message: it has no values",
        )),
        Data::Enum(variants) if variants.variants.len() > VARIANTS_LIMIT => {
            Err(Error::new_spanned(
                &input.ident,
                format!(
                    "a message has at most {VARIANTS_LIMIT} variants, this one has {}: \
                 group some into an enum of their own",
                    variants.variants.len()
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses what would make the archived form differ from what the schema says.
fn check_attributes(input: &DeriveInput) -> Result<()> {
    for attribute in &input.attrs {
        check_rkyv(attribute, &["derive", "compare", "archived", "resolver"])?;
    }
    if let Data::Enum(variants) = &input.data {
        for attribute in variants.variants.iter().flat_map(|variant| &variant.attrs) {
            check_cfg(attribute)?;
            check_rkyv(attribute, &[])?;
        }
    }
    for attribute in fields(&input.data).flat_map(|field| &field.attrs) {
        check_cfg(attribute)?;
        check_rkyv(attribute, &["omit_bounds"])?;
    }
    Ok(())
}

fn check_cfg(attribute: &Attribute) -> Result<()> {
    if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
        return Err(Error::new_spanned(
            attribute,
            "a message has the same fields in every build: put the condition on the whole type",
        ));
    }
    Ok(())
}

fn check_rkyv(attribute: &Attribute, accepted: &[&str]) -> Result<()> {
    if !attribute.path().is_ident("rkyv") {
        return Ok(());
    }
    let arguments =
        attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).map_err(
            |error| Error::new(error.span(), "#[message] does not accept this rkyv argument"),
        )?;
    for argument in arguments {
        if !accepted.iter().any(|name| argument.path().is_ident(name)) {
            let accepted =
                if accepted.is_empty() { "none".to_owned() } else { accepted.join(", ") };
            return Err(Error::new_spanned(
                argument,
                format!(
                    "#[message] does not accept this rkyv argument, which could change the \
                     archived form; accepted here: {accepted}"
                ),
            ));
        }
    }
    Ok(())
}

/// Replaces `Self` in the types of fields by the type's name: in the archived form `Self` would mean that one.
fn name_self(input: &mut DeriveInput) -> Result<()> {
    let own = input.ident.clone();
    for field in fields_mut(&mut input.data) {
        field.ty = syn::parse2(replace_self(field.ty.to_token_stream(), &own))?;
    }
    Ok(())
}

fn replace_self(tokens: TokenStream, own: &Ident) -> TokenStream {
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Ident(ident) if ident == "Self" => {
                TokenTree::Ident(Ident::new(&own.to_string(), ident.span()))
            }
            TokenTree::Group(group) => {
                TokenTree::Group(Group::new(group.delimiter(), replace_self(group.stream(), own)))
            }
            other => other,
        })
        .collect()
}

/// Marks the fields that refer back to their own type, and says whether any field is marked.
///
/// Asking such a field for a bound or for its fingerprint would ask the type itself, without end.
fn mark_recursive_fields(input: &mut DeriveInput) -> bool {
    let own = input.ident.clone();
    let mut any = false;
    for field in fields_mut(&mut input.data) {
        if !is_marked(field) && mentions(&field.ty, &own) {
            field.attrs.push(syn::parse_quote!(#[rkyv(omit_bounds)]));
        }
        any |= is_marked(field);
    }
    any
}

/// Whether the bounds of a field are left out. No other `#[rkyv(..)]` is accepted there.
pub(crate) fn is_marked(field: &Field) -> bool {
    field.attrs.iter().any(|attribute| attribute.path().is_ident("rkyv"))
}

/// What a serializer and a deserializer must offer once the bounds of recursive fields are left out.
fn recursion_bounds() -> TokenStream {
    quote! {
        serialize_bounds(
            __S: ::mainspring::rkyv::ser::Writer + ::mainspring::rkyv::ser::Allocator,
            __S::Error: ::mainspring::rkyv::rancor::Source,
        ),
        deserialize_bounds(__D::Error: ::mainspring::rkyv::rancor::Source),
        bytecheck(bounds(
            __C: ::mainspring::rkyv::validation::ArchiveContext,
            __C::Error: ::mainspring::rkyv::rancor::Source,
        )),
    }
}

/// Whether a type names `own` outside a reference to an actor.
fn mentions(ty: &Type, own: &Ident) -> bool {
    struct Search<'a> {
        own: &'a Ident,
        found: bool,
    }
    impl<'ast> Visit<'ast> for Search<'_> {
        fn visit_path(&mut self, path: &'ast Path) {
            let Some(last) = path.segments.last() else { return };
            if last.ident == *self.own {
                self.found = true;
            }
            if !(last.ident == "ActorRef" || last.ident == "LocalRef") {
                visit::visit_path(self, path);
            }
        }
    }
    let mut search = Search { own, found: false };
    search.visit_type(ty);
    search.found
}

/// The fields of a struct, or of all variants of an enum.
pub(crate) fn fields(data: &Data) -> impl Iterator<Item = &Field> {
    let (of_struct, of_enum) = match data {
        Data::Struct(data) => (Some(data.fields.iter()), None),
        Data::Enum(data) => (None, Some(data.variants.iter().flat_map(|variant| &variant.fields))),
        Data::Union(_) => (None, None),
    };
    of_struct.into_iter().flatten().chain(of_enum.into_iter().flatten())
}

fn fields_mut(data: &mut Data) -> impl Iterator<Item = &mut Field> {
    let (of_struct, of_enum) = match data {
        Data::Struct(data) => (Some(data.fields.iter_mut()), None),
        Data::Enum(data) => {
            (None, Some(data.variants.iter_mut().flat_map(|variant| &mut variant.fields)))
        }
        Data::Union(_) => (None, None),
    };
    of_struct.into_iter().flatten().chain(of_enum.into_iter().flatten())
}

/// Whether the type derives `Debug` and leaves its archived form to us.
fn is_debug(attributes: &[Attribute]) -> bool {
    let derives_debug = |list: &str| {
        attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident(list))
            .any(|attribute| canonical(&attribute.meta).split(' ').any(|word| word == "Debug"))
    };
    derives_debug("derive") && !derives_debug("rkyv")
}
