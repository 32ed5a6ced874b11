//! The tasks of a connection: one writes what is in the node's outbox, the other reads and puts into mailboxes.
//!
//! The outbox has a bound, so that a sender waits when the other node does not read. Mailboxes have none: the reader
//! lets the actors run after each part that it has read.

use std::io;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedSender};
use tokio::task::{JoinHandle, yield_now};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use crate::Way;
use crate::message::{Envelope, InPlace, Number, from_frame, to_frame};

/// Where messages to actors of the other node go.
pub type Outbox = Sender<Envelope>;
/// Where messages to an actor of this node go.
pub type Mailbox = UnboundedSender<Number>;

/// Messages that wait for the connection at most.
const OUTBOX_MESSAGES: usize = 1_024;
/// What is written at once, about, and what is read at once at most.
const PART_BYTES: usize = 64 << 10;

/// Starts the tasks of a connection. What comes in goes to the mailbox at its place in `mailboxes`. The connection is
/// closed when the last sender of the outbox is gone, and the mailboxes when the other node has closed its end.
pub fn start(socket: TcpStream, way: Way, mailboxes: Vec<Mailbox>) -> (Outbox, Reading) {
    let (reads, writes) = socket.into_split();
    let (outbox, outgoing) = mpsc::channel(OUTBOX_MESSAGES);
    let reading = match way {
        Way::Plain => {
            tokio::spawn(write_each(outgoing, writes));
            tokio::spawn(read_each(reads, mailboxes))
        }
        Way::Tuned => {
            tokio::spawn(write_parts(outgoing, writes));
            tokio::spawn(read_parts(reads, mailboxes))
        }
    };
    (outbox, reading)
}

/// The task that reads. It ends when the other node has closed its end.
pub type Reading = JoinHandle<io::Result<()>>;

async fn write_each(mut outgoing: Receiver<Envelope>, socket: OwnedWriteHalf) -> io::Result<()> {
    let mut frames = FramedWrite::new(socket, LengthDelimitedCodec::new());
    while let Some(envelope) = outgoing.recv().await {
        frames.send(to_frame(&envelope)?).await?;
    }
    Ok(())
}

async fn read_each(socket: OwnedReadHalf, mailboxes: Vec<Mailbox>) -> io::Result<()> {
    let mut frames = FramedRead::new(socket, LengthDelimitedCodec::new());
    while let Some(frame) = frames.next().await {
        deliver(from_frame(&frame?)?, &mailboxes);
    }
    Ok(())
}

async fn write_parts(mut outgoing: Receiver<Envelope>, socket: OwnedWriteHalf) -> io::Result<()> {
    let mut frames = FramedWrite::new(socket, InPlace);
    frames.set_backpressure_boundary(PART_BYTES);
    let mut taken = Vec::with_capacity(OUTBOX_MESSAGES);
    while outgoing.recv_many(&mut taken, OUTBOX_MESSAGES).await > 0 {
        for envelope in taken.drain(..) {
            frames.feed(envelope).await?;
        }
        if outgoing.is_empty() {
            frames.flush().await?;
        }
    }
    Ok(())
}

async fn read_parts(socket: OwnedReadHalf, mailboxes: Vec<Mailbox>) -> io::Result<()> {
    let mut frames = FramedRead::with_capacity(socket, InPlace, PART_BYTES);
    while let Some(envelope) = frames.next().await {
        deliver(envelope?, &mailboxes);
        // Whatever was read together has been delivered.
        if frames.read_buffer().is_empty() {
            yield_now().await;
        }
    }
    Ok(())
}

/// A message to an actor that is not there, or has ended, is lost, as with every actor.
fn deliver(envelope: Envelope, mailboxes: &[Mailbox]) {
    let mailbox = usize::try_from(envelope.to).ok().and_then(|place| mailboxes.get(place));
    if let Some(mailbox) = mailbox {
        let _ = mailbox.send(envelope.message);
    }
}
