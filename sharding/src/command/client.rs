//! Asks a status server, over one connection for each question.
//!
//! It promises to come back within [`PATIENCE`] and a moment, and to keep at most [`ANSWER_LIMIT_BYTES`].

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::status::documents::ErrorDocument;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of an answer.
const ANSWER_LIMIT_BYTES: usize = 64 << 20;
/// Headers that an answer may have.
const HEADERS_LIMIT: usize = 32;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("no status server answers at {at}: {source}; name another by --at")]
    Unreached { at: SocketAddr, source: io::Error },
    #[error("what answers at {at} is no status server: {why}; name another by --at")]
    NoServer { at: SocketAddr, why: String },
    #[error("{at} refuses ({status}): {why}")]
    Refused { at: SocketAddr, status: u16, why: String },
}

/// See the [module](self).
pub(super) struct Client {
    at: SocketAddr,
    token: Option<String>,
}

impl Client {
    pub fn new(at: SocketAddr, token: Option<String>) -> Client {
        Client { at, token }
    }

    /// A document, as text and as what it says.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<(String, T), ClientError> {
        self.ask("GET", path, "")
    }

    /// Asks for an action.
    pub fn post<T: DeserializeOwned>(&self, path: &str) -> Result<(String, T), ClientError> {
        let token = self.token.as_deref().unwrap_or("");
        self.ask("POST", path, &format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n"))
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        headers: &str,
    ) -> Result<(String, T), ClientError> {
        let at = self.at;
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {at}\r\n{headers}\r\n");
        let answer =
            self.exchange(&request).map_err(|source| ClientError::Unreached { at, source })?;
        let no_server = |why: String| ClientError::NoServer { at, why };
        let (status, body) = status_and_body(&answer).map_err(no_server)?;
        if !(200..300).contains(&status) {
            let error: Result<ErrorDocument, _> = serde_json::from_str(&body);
            let why = error.map_err(|error| no_server(error.to_string()))?.error;
            return Err(ClientError::Refused { at, status, why });
        }
        let document = serde_json::from_str(&body).map_err(|error| no_server(error.to_string()))?;
        Ok((body, document))
    }

    fn exchange(&self, request: &str) -> io::Result<Vec<u8>> {
        let end = Instant::now() + PATIENCE;
        let mut socket = TcpStream::connect_timeout(&self.at, PATIENCE)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let mut bytes = vec![0; 64 << 10];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the answer takes too long"));
            }
            socket.set_read_timeout(Some(left))?;
            match socket.read(&mut bytes) {
                Ok(0) => return Ok(answer),
                Ok(count) if answer.len() + count > ANSWER_LIMIT_BYTES => {
                    return Err(io::Error::other("the answer is too large"));
                }
                Ok(count) => answer.extend_from_slice(bytes.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn status_and_body(answer: &[u8]) -> Result<(u16, String), String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
    let mut parsed = httparse::Response::new(&mut headers);
    let (head_bytes, status) = match parsed.parse(answer) {
        Ok(httparse::Status::Complete(bytes)) => (bytes, parsed.code.unwrap_or(0)),
        Ok(httparse::Status::Partial) => return Err("the answer ends early".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let body = answer.get(head_bytes..).unwrap_or_default();
    let length = parsed.headers.iter().find(|one| one.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|one| std::str::from_utf8(one.value).ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length != body.len()) {
        return Err("the answer ends early".to_owned());
    }
    match std::str::from_utf8(body) {
        Ok(body) => Ok((status, body.to_owned())),
        Err(error) => Err(error.to_string()),
    }
}
