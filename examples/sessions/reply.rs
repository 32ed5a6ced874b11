//! Replies, and how they are written for a client: RESP2, or RESP3 for those that asked for it.
//!
//! Single values are written by the crate `redis-protocol`; what holds others is its length and then each of them.

use mainspring::prelude::*;
use redis_protocol::error::RedisProtocolError;
use redis_protocol::resp2::encode::encode_borrowed;
use redis_protocol::resp2::types::BorrowedFrame;
use redis_protocol::resp3::encode::complete::encode_borrowed as encode_borrowed_resp3;
use redis_protocol::resp3::types::BorrowedFrame as BorrowedFrame3;

/// What a client is told.
#[message(name = "sessions.reply")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `OK`.
    Ok,
    /// A word.
    Status(String),
    /// An error: its code, and what is wrong.
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Null,
    List(#[rkyv(omit_bounds)] Vec<Reply>),
    /// Keys and values in turn.
    Map(#[rkyv(omit_bounds)] Vec<Reply>),
    Set(#[rkyv(omit_bounds)] Vec<Reply>),
}

/// The version of the protocol that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resp {
    #[default]
    Two,
    Three,
}

impl Reply {
    /// An error as Redis forms it.
    pub fn error(error: impl std::fmt::Display) -> Reply {
        Reply::Error(error.to_string())
    }

    /// A value, as bytes.
    pub fn bulk(bytes: impl AsRef<[u8]>) -> Reply {
        Reply::Bulk(bytes.as_ref().to_vec())
    }

    /// Writes the reply behind what stands in `out`.
    pub fn write(&self, resp: Resp, out: &mut Vec<u8>) {
        match self {
            Reply::Ok => out.extend_from_slice(b"+OK\r\n"),
            Reply::Status(word) => write_frame(&BorrowedFrame::SimpleString(word.as_bytes()), out),
            Reply::Error(text) => write_error(text, out),
            Reply::Integer(number) => write_frame(&BorrowedFrame::Integer(*number), out),
            Reply::Bulk(bytes) => write_frame(&BorrowedFrame::BulkString(bytes), out),
            Reply::Null => write_null(resp, out),
            Reply::List(replies) => write_all(b'*', replies.len(), replies, resp, out),
            Reply::Map(replies) => match resp {
                Resp::Two => write_all(b'*', replies.len(), replies, resp, out),
                Resp::Three => write_all(b'%', replies.len() / 2, replies, resp, out),
            },
            Reply::Set(replies) => {
                let kind = if resp == Resp::Three { b'~' } else { b'*' };
                write_all(kind, replies.len(), replies, resp, out);
            }
        }
    }
}

impl ArchivedReply {
    /// As [`Reply::write`], from where the reply lies.
    pub fn write(&self, resp: Resp, out: &mut Vec<u8>) {
        match self {
            ArchivedReply::Ok => out.extend_from_slice(b"+OK\r\n"),
            ArchivedReply::Integer(number) => {
                write_frame(&BorrowedFrame::Integer(number.to_native()), out);
            }
            ArchivedReply::Bulk(bytes) => write_frame(&BorrowedFrame::BulkString(bytes), out),
            ArchivedReply::Null => write_null(resp, out),
            _ => self.owned().write(resp, out),
        }
    }

    /// The reply by itself.
    pub fn owned(&self) -> Reply {
        let refused = |error| Reply::error(format_args!("ERR the answer cannot be read: {error}"));
        mainspring::message::owned::<Reply>(self).unwrap_or_else(refused)
    }
}

fn write_null(resp: Resp, out: &mut Vec<u8>) {
    match resp {
        Resp::Two => write_frame(&BorrowedFrame::Null, out),
        Resp::Three => {
            encode(out, 8, |room| encode_borrowed_resp3(room, &BorrowedFrame3::Null, false))
        }
    }
}

/// A line break inside an error would begin another reply.
fn write_error(text: &str, out: &mut Vec<u8>) {
    let line = text.replace(['\r', '\n'], " ");
    write_frame(&BorrowedFrame::Error(&line), out);
}

fn write_frame(frame: &BorrowedFrame<'_>, out: &mut Vec<u8>) {
    encode(out, frame.encode_len(false), |room| encode_borrowed(room, frame, false));
}

/// Has `write` fill up to `room_bytes` behind what stands in `out`.
fn encode(
    out: &mut Vec<u8>,
    room_bytes: usize,
    write: impl FnOnce(&mut [u8]) -> Result<usize, RedisProtocolError>,
) {
    let begun = out.len();
    out.resize(begun + room_bytes, 0);
    // The room is as large as the crate says that it must be, so this does not fail.
    let written = write(&mut out[begun..]).unwrap_or(0);
    out.truncate(begun + written.min(room_bytes));
}

fn write_all(kind: u8, count: usize, replies: &[Reply], resp: Resp, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(count.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
    replies.iter().for_each(|reply| reply.write(resp, out));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply, resp: Resp) -> String {
        let mut out = b"before ".to_vec();
        reply.write(resp, &mut out);
        String::from_utf8(out.split_off(7)).expect("text")
    }

    #[test]
    fn each_kind_of_reply_is_written_as_its_version_of_the_protocol_wants() {
        let list = vec![Reply::bulk("a"), Reply::Integer(-3)];
        for (reply, two, three) in [
            (Reply::Ok, "+OK\r\n", "+OK\r\n"),
            (Reply::Status("PONG".to_owned()), "+PONG\r\n", "+PONG\r\n"),
            (Reply::error("ERR no"), "-ERR no\r\n", "-ERR no\r\n"),
            (Reply::Integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"),
            (Reply::bulk("ab"), "$2\r\nab\r\n", "$2\r\nab\r\n"),
            (Reply::bulk(""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (Reply::Null, "$-1\r\n", "_\r\n"),
            (Reply::List(list.clone()), "*2\r\n$1\r\na\r\n:-3\r\n", "*2\r\n$1\r\na\r\n:-3\r\n"),
            (Reply::Map(list.clone()), "*2\r\n$1\r\na\r\n:-3\r\n", "%1\r\n$1\r\na\r\n:-3\r\n"),
            (Reply::Set(list), "*2\r\n$1\r\na\r\n:-3\r\n", "~2\r\n$1\r\na\r\n:-3\r\n"),
        ] {
            assert_eq!(written(&reply, Resp::Two), two, "{reply:?}");
            assert_eq!(written(&reply, Resp::Three), three, "{reply:?}");
        }
    }

    #[test]
    fn an_error_stays_on_its_line_whatever_a_client_has_sent() {
        let error = Reply::error("ERR unknown command 'a\r\n+OK\r\n'");
        assert_eq!(written(&error, Resp::Two), "-ERR unknown command 'a  +OK  '\r\n");
    }
}
