//! The text of a type: the same for every compiler, whatever the author's spacing.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;

/// The tokens of `tokens`, one space between them.
pub(crate) fn canonical(tokens: &impl ToTokens) -> String {
    let mut text = String::new();
    push(tokens.to_token_stream(), &mut text);
    text
}

fn push(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push_word(open, text);
                push(group.stream(), text);
                push_word(close, text);
            }
            TokenTree::Ident(ident) => push_word(&ident.to_string(), text),
            TokenTree::Punct(punct) => push_word(&punct.as_char().to_string(), text),
            TokenTree::Literal(literal) => push_word(&literal.to_string(), text),
        }
    }
}

fn push_word(word: &str, text: &mut String) {
    if !text.is_empty() && !word.is_empty() {
        text.push(' ');
    }
    text.push_str(word);
}

#[cfg(test)]
mod tests {
    use super::canonical;
    use quote::quote;

    #[test]
    fn spacing_does_not_change_the_text() {
        let written: proc_macro2::TokenStream =
            "Vec<( u64,Option<ActorRef<Self>>)>".parse().expect("tokens");
        assert_eq!(canonical(&written), "Vec < ( u64 , Option < ActorRef < Self > > ) >");
        assert_eq!(canonical(&written), canonical(&quote!(Vec<(u64, Option<ActorRef<Self>>)>)));
    }
}
