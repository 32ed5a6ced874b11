//! Servers whose clients come by TLS.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;

use mainspring::net::{CloseCause, SocketError};
use mainspring::prelude::*;
use mainspring_transport::ingress::{
    Connection, ConnectionEnd, Ingress, IngressFigures, IngressHandle, Output, Received,
};
use mainspring_transport::tls::TlsServer;
use rustls::version::{TLS12, TLS13};

use crate::authority::{Authority, Issued};
use crate::client::{Client, connect, last_words};
use crate::{Outcome, PATIENCE};

const NAME: &str = "server.example";

#[message]
struct Nothing;

/// Sends back what it gets, and tells how it ended.
struct Echo {
    ends: mpsc::Sender<Option<ConnectionEnd>>,
}

impl Actor for Echo {
    type Message = Nothing;

    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Nothing>) -> Next<Self> {
        Next::Same
    }
}

impl Connection for Echo {
    fn received(
        &mut self,
        _: &mut Context<Self>,
        bytes: &[u8],
        out: &mut Output<'_>,
    ) -> Received<Self> {
        // At most a part, so that bytes wait.
        let part = bytes.len().min(5_000);
        match out.write(&bytes[..part]) {
            Ok(()) => Received::taken(part),
            Err(_) => Received::taken(0),
        }
    }

    fn half_closed(&mut self, _: &mut Context<Self>, out: &mut Output<'_>) -> Next<Self> {
        assert_eq!(out.write(b"and goodbye"), Ok(()));
        let _ = self.ends.send(None);
        Next::Stop
    }

    fn closed(&mut self, _: &mut Context<Self>, end: ConnectionEnd) {
        let _ = self.ends.send(Some(end));
    }
}

struct Served {
    node: Node,
    handle: IngressHandle,
    address: SocketAddr,
    ends: mpsc::Receiver<Option<ConnectionEnd>>,
}

fn serve(files: TlsServer, cores: usize) -> Result<Served, Box<dyn Error>> {
    let (sender, ends) = mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let server = Ingress::tcp("127.0.0.1:0")?.tls(files)?.serve(move |_| {
        let ends = sender.lock().map(|sender| sender.clone());
        Echo { ends: ends.unwrap_or_else(|poisoned| poisoned.into_inner().clone()) }
    });
    let handle = server.handle();
    let builder = Node::builder().cores(Cores::count(cores)).idle(IdleProfile::Eco);
    let node = builder.with(server).start()?;
    let address = handle.wait_listening(PATIENCE).ok_or("it does not listen")?;
    Ok(Served { node, handle, address, ends })
}

fn server_files(issued: &Issued) -> TlsServer {
    TlsServer::new(&issued.certificate, &issued.key)
}

/// Waits until the figures of a server are so.
fn wait_figures(handle: &IngressHandle, wanted: impl Fn(&IngressFigures) -> bool) -> Outcome {
    let end = std::time::Instant::now() + PATIENCE;
    while !wanted(&handle.figures()) {
        if std::time::Instant::now() > end {
            return Err(format!("{:?}", handle.figures()).into());
        }
        std::thread::yield_now();
    }
    Ok(())
}

fn echoed(client: &mut Client, bytes: &[u8]) -> Outcome {
    client.write_all(bytes)?;
    let mut back = vec![0; bytes.len()];
    client.read_exact(&mut back)?;
    assert!(back == bytes);
    Ok(())
}

#[test]
fn a_client_by_tls_gets_back_what_it_sent_and_the_last_answer_after_its_end() -> Outcome {
    let authority = Authority::new("the authority")?;
    let served = serve(server_files(&authority.issue("server", NAME)?), 2)?;
    for round in 0..4_usize {
        let mut client = connect(served.address, &authority.file(), NAME, None, &[&TLS13])?;
        for size in [1, 15, 16, 17, 4_097, 16_384, 16_385, 60_000] {
            let bytes: Vec<u8> = (0..size).map(|at| (at * 7 + round) as u8).collect();
            echoed(&mut client, &bytes)?;
        }
        // No tickets: every connection has a handshake of its own.
        assert_eq!(client.conn.tls13_tickets_received(), 0);
        client.conn.send_close_notify();
        client.flush()?;
        let mut rest = Vec::new();
        client.read_to_end(&mut rest)?;
        assert_eq!(rest, b"and goodbye");
        assert_eq!(served.ends.recv_timeout(PATIENCE)?, None);
    }
    wait_figures(&served.handle, |figures| figures.open == 0)?;
    let figures = served.handle.figures();
    assert_eq!((figures.accepted, figures.insecure, figures.lost), (4, 0, 0));
    served.node.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn more_than_a_connection_may_hold_goes_both_ways_at_its_readers_pace() -> Outcome {
    let authority = Authority::new("the authority")?;
    let served = serve(server_files(&authority.issue("server", NAME)?), 1)?;
    let mut client = connect(served.address, &authority.file(), NAME, None, &[&TLS13])?;
    const PART_BYTES: usize = 64 << 10;
    const PARTS: usize = 256;
    let part: Vec<u8> = (0..PART_BYTES).map(|at| (at % 251) as u8).collect();
    // Writes as long as it can without reading: the server reads no more then, and holds no more.
    client.sock.set_write_timeout(Some(std::time::Duration::from_millis(300)))?;
    let mut written = 0;
    while written < PARTS && client.write_all(&part).is_ok() {
        written += 1;
    }
    assert!(written < PARTS, "16 MiB were taken from a client that reads nothing");
    served.node.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn a_stream_that_is_cut_off_is_not_taken_for_one_that_has_ended() -> Outcome {
    let authority = Authority::new("the authority")?;
    let served = serve(server_files(&authority.issue("server", NAME)?), 1)?;
    let mut client = connect(served.address, &authority.file(), NAME, None, &[&TLS13])?;
    echoed(&mut client, b"hello")?;
    client.sock.shutdown(std::net::Shutdown::Write)?;
    let end = served.ends.recv_timeout(PATIENCE)?;
    let cut_off = ConnectionEnd::Lost(CloseCause::Failed(SocketError::CutOff));
    assert_eq!(end, Some(cut_off));
    wait_figures(&served.handle, |figures| figures.insecure == 1)?;
    served.node.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn bytes_that_were_changed_on_their_way_end_the_connection_before_anybody_sees_them() -> Outcome {
    let authority = Authority::new("the authority")?;
    let served = serve(server_files(&authority.issue("server", NAME)?), 1)?;
    let mut client = connect(served.address, &authority.file(), NAME, None, &[&TLS13])?;
    echoed(&mut client, b"hello")?;
    let mut record = Vec::new();
    client.conn.writer().write_all(b"pay a hundred")?;
    client.conn.write_tls(&mut record)?;
    let last = record.len() - 1;
    record[last] ^= 1;
    client.sock.write_all(&record)?;
    let heard = last_words(&mut client);
    assert!(heard.contains("BadRecordMac"), "{heard}");
    let end = served.ends.recv_timeout(PATIENCE)?;
    let insecure = |cause| matches!(cause, CloseCause::Failed(SocketError::Insecure { .. }));
    assert!(matches!(end, Some(ConnectionEnd::Lost(cause)) if insecure(cause)), "{end:?}");
    assert_eq!(served.handle.figures().received_bytes, 5);
    served.node.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn clients_without_tls_with_an_older_one_or_without_a_certificate_get_no_actor() -> Outcome {
    let (authority, of_clients) = (Authority::new("the authority")?, Authority::new("clients")?);
    let files = server_files(&authority.issue("server", NAME)?).client_ca(of_clients.file());
    let served = serve(files, 1)?;
    let client =
        |own: Option<&Issued>| connect(served.address, &authority.file(), NAME, own, &[&TLS13]);
    let mut plain = TcpStream::connect(served.address)?;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer)?;
    assert!(answer.len() <= 7, "an alert at most: {answer:?}");
    wait_figures(&served.handle, |figures| figures.insecure == 1)?;

    let mut old = connect(served.address, &authority.file(), NAME, None, &[&TLS12])?;
    assert!(old.write_all(b"hello").is_err());
    wait_figures(&served.handle, |figures| figures.insecure == 2)?;

    let mut without = client(None)?;
    without.write_all(b"hello")?;
    let heard = last_words(&mut without);
    assert!(heard.contains("CertificateRequired"), "{heard}");
    wait_figures(&served.handle, |figures| figures.insecure == 3)?;
    assert_eq!(served.handle.figures().accepted, 0);

    // A client has a name of its own, whatever it is.
    let own = of_clients.issue("client", "somebody.example")?;
    echoed(&mut client(Some(&own))?, b"hello")?;
    assert_eq!(served.handle.figures().accepted, 1);
    served.node.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn a_server_uses_new_certificates_when_it_is_told_to() -> Outcome {
    let authority = Authority::new("the authority")?;
    let issued = authority.issue("server", NAME)?;
    let served = serve(server_files(&issued), 1)?;
    let mut before = connect(served.address, &authority.file(), NAME, None, &[&TLS13])?;
    echoed(&mut before, b"hello")?;
    authority.issue("server", NAME)?;
    served.handle.reload_certificates()?;
    let mut after = connect(served.address, &authority.file(), NAME, None, &[&TLS13])?;
    echoed(&mut after, b"hello")?;
    assert_ne!(before.conn.peer_certificates(), after.conn.peer_certificates());
    // What was there before goes on.
    echoed(&mut before, b"hello again")?;
    std::fs::remove_file(&issued.key)?;
    assert!(served.handle.reload_certificates().is_err());
    served.node.shutdown(PATIENCE)?;
    Ok(())
}
