//! An answer, and its bytes on the wire.
//!
//! Every answer ends its connection, may not be kept by anybody in between, and lets a browser load nothing but itself.

use serde::Serialize;

use super::documents::ErrorDocument;
use super::refusal::Refusal;

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub status: u16,
    phrase: &'static str,
    content_type: &'static str,
    allow: Option<&'static str>,
    pub body: String,
    /// Asked for by HEAD: the body stays here.
    is_head_only: bool,
}

impl Response {
    /// What was asked for.
    pub fn document(document: &impl Serialize) -> Response {
        Response::json((200, "OK"), document)
    }

    /// The page for people.
    pub fn page(html: String) -> Response {
        let content_type = "text/html; charset=utf-8";
        Response { content_type, body: html, ..Response::empty((200, "OK")) }
    }

    /// The request was handed on.
    pub fn accepted(document: &impl Serialize) -> Response {
        Response::json((202, "Accepted"), document)
    }

    /// This node should get no requests.
    pub fn unavailable(document: &impl Serialize) -> Response {
        Response::json((503, "Service Unavailable"), document)
    }

    /// Nothing was done.
    pub fn refused(refusal: &Refusal) -> Response {
        let document = ErrorDocument { error: refusal.to_string() };
        let allow = match refusal {
            Refusal::WrongMethod { allowed } => Some(*allowed),
            _ => None,
        };
        Response { allow, ..Response::json(refusal.status(), &document) }
    }

    /// The same, without its body.
    pub fn head_only(self) -> Response {
        Response { is_head_only: true, ..self }
    }

    fn json(status: (u16, &'static str), document: &impl Serialize) -> Response {
        // The documents here have texts as names and no floats: all of them can be written.
        let mut body = serde_json::to_string_pretty(document).unwrap_or_default();
        body.push('\n');
        Response { body, ..Response::empty(status) }
    }

    fn empty((status, phrase): (u16, &'static str)) -> Response {
        let content_type = "application/json";
        let body = String::new();
        Response { status, phrase, content_type, allow: None, body, is_head_only: false }
    }

    /// All of it.
    pub fn into_bytes(self) -> Vec<u8> {
        let Response { status, phrase, content_type, allow, body, is_head_only } = self;
        let allow = allow.map(|methods| format!("Allow: {methods}\r\n")).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status} {phrase}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}\
             Connection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n\r\n",
            body.len()
        );
        let mut bytes = head.into_bytes();
        if !is_head_only {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }
}
