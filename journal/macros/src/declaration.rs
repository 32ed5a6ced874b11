//! What `#[event(..)]` and `#[state(..)]` say about a type: its name in the journal, its version, and for a state how
//! older versions are read.
//!
//! Invariant: a declaration that parses has a name that fits a segment's dictionary and a line of `events.lock`.

use proc_macro2::{Span, TokenStream};
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Error, Ident, LitInt, LitStr, Result, Token};

use crate::upcast::{Upcast, upcasts};

/// The longest name, in bytes.
const NAME_LIMIT_BYTES: usize = 200;

/// The arguments of `#[event]` or `#[state]`.
pub(crate) struct Declaration {
    pub(crate) name: LitStr,
    pub(crate) version: u16,
    pub(crate) upcasts: Vec<Upcast>,
}

/// Which attribute is being read, for what it says when it refuses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Event,
    State,
}

impl Attribute {
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Attribute::Event => "event",
            Attribute::State => "state",
        }
    }

    fn form(self) -> &'static str {
        match self {
            Attribute::Event => "#[event(name = \"account.deposited\", version = 1)]",
            Attribute::State => "#[state(name = \"account\", version = 1)]",
        }
    }
}

/// Reads the arguments.
pub(crate) fn declaration(attribute: Attribute, arguments: TokenStream) -> Result<Declaration> {
    let parser = |input: ParseStream<'_>| parse(attribute, input);
    parser.parse2(arguments)
}

fn parse(attribute: Attribute, input: ParseStream<'_>) -> Result<Declaration> {
    let (mut name, mut version, mut older) = (None, None, None);
    while !input.is_empty() {
        let key: Ident = input.parse()?;
        match key.to_string().as_str() {
            "name" => set(&mut name, &key, argument::<LitStr>(input)?)?,
            "version" => set(&mut version, &key, argument::<LitInt>(input)?)?,
            "upcast" if attribute == Attribute::State => set(&mut older, &key, upcasts(input)?)?,
            "upcast" => {
                let advice = "older versions are read by the enum of events: \
                              write `#[events(upcast(..))]` there";
                return Err(Error::new_spanned(&key, advice));
            }
            _ => {
                let advice = format!("unknown argument; expected {}", attribute.form());
                return Err(Error::new_spanned(&key, advice));
            }
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    let missing = |what: &str, why: &str| {
        let (noun, form) = (attribute.noun(), attribute.form());
        let advice = format!("a stored {noun} needs a {what}, {why}: {form}");
        Error::new(Span::call_site(), advice)
    };
    let name = name.ok_or_else(|| missing("name", "which stays when the type moves"))?;
    let version =
        version.ok_or_else(|| missing("version", "which grows whenever the fields change"))?;
    check_name(&name)?;
    Ok(Declaration { name, version: number(&version)?, upcasts: older.unwrap_or_default() })
}

fn argument<T: Parse>(input: ParseStream<'_>) -> Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn set<T>(place: &mut Option<T>, key: &Ident, value: T) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new_spanned(key, format!("`{key}` is given twice"))),
    }
}

fn number(version: &LitInt) -> Result<u16> {
    match version.base10_parse::<u16>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Error::new_spanned(version, "a version is a number from 1 to 65535")),
    }
}

fn check_name(name: &LitStr) -> Result<()> {
    let text = name.value();
    let refusal = if text.is_empty() {
        "the name must not be empty".to_owned()
    } else if text.len() > NAME_LIMIT_BYTES {
        format!("the name has {} bytes; at most {NAME_LIMIT_BYTES}", text.len())
    } else if text.chars().any(|char| char.is_whitespace() || char.is_control()) {
        "the name must not hold white space or control characters".to_owned()
    } else if text.starts_with('#') {
        "the name must not start with `#`, which begins a comment in `events.lock`".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new_spanned(name, refusal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn refusal(arguments: TokenStream) -> String {
        match declaration(Attribute::Event, arguments) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_name_and_a_version_are_read_in_any_order() {
        let read = declaration(Attribute::Event, quote!(version = 65535, name = "a.b",));
        let read = read.expect("a declaration");
        assert_eq!((read.name.value().as_str(), read.version), ("a.b", 65535));
    }

    #[test]
    fn what_is_missing_doubled_or_out_of_range_is_named() {
        assert!(refusal(quote!(name = "a")).contains("needs a version"));
        assert!(refusal(quote!(version = 1)).contains("needs a name"));
        assert!(refusal(quote!(name = "a", name = "b", version = 1)).contains("given twice"));
        for version in [quote!(0), quote!(65536)] {
            assert!(refusal(quote!(name = "a", version = #version)).contains("from 1 to 65535"));
        }
        assert!(refusal(quote!(name = "a", versoin = 1)).contains("unknown argument"));
        assert!(refusal(quote!(name = "a", version = 1, upcast(A => b))).contains("#[events("));
    }

    #[test]
    fn names_that_the_lock_file_cannot_hold_are_refused() {
        let named = |name: &str| refusal(quote!(name = #name, version = 1));
        assert_eq!(named(&"n".repeat(NAME_LIMIT_BYTES)), "");
        assert_eq!(named("konto.geöffnet"), "");
        assert!(named(&"n".repeat(NAME_LIMIT_BYTES + 1)).contains("201 bytes"));
        assert!(named("").contains("empty"));
        assert!(named("a b").contains("white space"));
        assert!(named("a\u{7}").contains("control"));
        assert!(named("#a").contains("comment"));
    }
}
