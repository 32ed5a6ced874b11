//! One HTTP request as bytes, read into what it asks for.
//!
//! It promises: whatever the bytes are, an answer of [`read`] comes without a panic, and a request of which not all has
//! arrived is never taken for a whole one. It refuses what is larger than the limits here, bodies whose length is not
//! said, and targets that are no path. A body is passed over: no action has one.

use super::refusal::Refusal;

/// The most bytes of a request before its body.
pub(crate) const HEAD_LIMIT_BYTES: usize = 8 << 10;
/// The most bytes of a body.
pub(crate) const BODY_LIMIT_BYTES: usize = 4 << 10;
/// The most bytes of a path with its query.
pub(crate) const TARGET_LIMIT_BYTES: usize = 2 << 10;
/// The most headers.
const HEADERS_LIMIT: usize = 64;

/// What a request may want to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Other,
}

/// A whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: Method,
    /// The parts of the path between its slashes, decoded.
    pub segments: Vec<String>,
    /// What stands behind the question mark, decoded, in order.
    pub query: Vec<(String, String)>,
    /// What was sent as `Authorization: Bearer`.
    pub bearer: Option<String>,
}

/// What bytes are so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The beginning of a request.
    More,
    Whole(Request),
    Refused(Refusal),
}

/// Reads what has arrived on a connection. It does not ask for more when there is more than a head and a body may have.
pub(crate) fn read(bytes: &[u8]) -> Reading {
    match request_in(bytes) {
        Ok(Some(request)) => Reading::Whole(request),
        Ok(None) => Reading::More,
        Err(refusal) => Reading::Refused(refusal),
    }
}

fn request_in(bytes: &[u8]) -> Result<Option<Request>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
    let mut parsed = httparse::Request::new(&mut headers);
    let status = parsed.parse(bytes).map_err(|error| match error {
        httparse::Error::TooManyHeaders => Refusal::HeadTooLarge,
        error => Refusal::Malformed { why: error.to_string() },
    })?;
    let target = parsed.path.unwrap_or("");
    if target.len() > TARGET_LIMIT_BYTES {
        return Err(Refusal::TargetTooLong);
    }
    let httparse::Status::Complete(head_bytes) = status else {
        return match bytes.len() > HEAD_LIMIT_BYTES {
            true => Err(Refusal::HeadTooLarge),
            false => Ok(None),
        };
    };
    if head_bytes > HEAD_LIMIT_BYTES {
        return Err(Refusal::HeadTooLarge);
    }
    let body_bytes = body_bytes(parsed.headers)?;
    if bytes.len() - head_bytes < body_bytes {
        return Ok(None);
    }
    let method = match parsed.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => Method::Other,
    };
    let (segments, query) = parts_of(target)?;
    let bearer = bearer_in(parsed.headers)?;
    Ok(Some(Request { method, segments, query, bearer }))
}

/// The values of a header.
fn values<'a>(
    headers: &'a [httparse::Header<'_>],
    name: &'static str,
) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

fn body_bytes(headers: &[httparse::Header<'_>]) -> Result<usize, Refusal> {
    if values(headers, "transfer-encoding").next().is_some() {
        return Err(Refusal::BodyOfUnknownLength);
    }
    let mut lengths = values(headers, "content-length");
    let Some(length) = lengths.next() else { return Ok(0) };
    let malformed = || Refusal::Malformed { why: "Content-Length is no one number".to_owned() };
    if lengths.any(|other| other != length) {
        return Err(malformed());
    }
    if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
        return Err(malformed());
    }
    // More digits than a number has are certainly too many bytes.
    let length = std::str::from_utf8(length).ok().and_then(|digits| digits.parse::<usize>().ok());
    length.filter(|length| *length <= BODY_LIMIT_BYTES).ok_or(Refusal::BodyTooLarge)
}

fn bearer_in(headers: &[httparse::Header<'_>]) -> Result<Option<String>, Refusal> {
    let mut found = values(headers, "authorization");
    let Some(value) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(Refusal::Malformed { why: "more than one Authorization".to_owned() });
    }
    let value = std::str::from_utf8(value).unwrap_or("");
    let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Ok(token.map(|(_, token)| token.trim().to_owned()))
}

/// The parts of a path, and its query.
type Parts = (Vec<String>, Vec<(String, String)>);

fn parts_of(target: &str) -> Result<Parts, Refusal> {
    let no_path = || Refusal::Malformed { why: format!("{target:?} is no path") };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_prefix('/').ok_or_else(no_path)?;
    let decode = |text: &str| decoded(text).ok_or_else(no_path);
    let segments = match path {
        "" => Vec::new(),
        path => path.split('/').map(decode).collect::<Result<_, _>>()?,
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let query = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect::<Result<_, Refusal>>()?;
    Ok((segments, query))
}

/// A text without its percent signs (RFC 3986, 2.1), if it is one.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push((high << 4 | low) as u8);
    }
    String::from_utf8(bytes).ok()
}

/// A text as one part of a path: everything that is not certainly harmless gets a percent sign.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'.' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
