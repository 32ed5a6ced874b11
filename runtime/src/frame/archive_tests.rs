use crate::frame::archive;
use crate::prelude::*;

#[message]
#[derive(Debug, PartialEq)]
pub enum Command {
    Deposit { amount: u64 },
    Balance { reply_to: ActorRef<Command> },
    Note { text: String, parts: Vec<Part> },
}

#[message]
#[derive(Debug, PartialEq)]
pub struct Part {
    name: String,
    inner: Vec<Part>,
}

#[test]
fn a_command_is_read_where_it_was_written() {
    let mut buffer = crate::frame::AlignedBuffer::zeroed(512);
    let note = Command::Note {
        text: "hello, archived world".into(),
        parts: vec![Part { name: "a".into(), inner: vec![] }],
    };
    let length = archive::write(&note, buffer.as_mut_slice()).expect("room");
    // SAFETY: it was just written there as this type.
    let root = unsafe { archive::root::<Command>(buffer.as_slice().as_ptr(), length) };
    assert_eq!(crate::message::owned::<Command>(root), Ok(note));
}
