//! Nodes that are linked by mutual TLS, and everybody else, who is not.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use mainspring::prelude::*;
use mainspring_transport::link::events::LinkEvent;
use mainspring_transport::tls::{TlsError, TlsFailure, TlsFiles};
use mainspring_transport::{Links, Transport, TransportError};
use rcgen::{CertificateParams, date_time_ymd};
use rustls::version::{TLS12, TLS13};

use crate::authority::{Authority, Issued};
use crate::client::{connect, last_words};
use crate::{Outcome, PATIENCE};

const SYSTEM: &str = "mainspring";

#[message]
#[derive(Debug, PartialEq)]
struct Sum {
    total: u64,
}

#[message]
struct Add {
    n: u64,
    reply_to: Option<ActorRef<Sum>>,
}

/// Adds up what it is told.
#[derive(Default)]
struct Adder {
    total: u64,
}

impl Actor for Adder {
    type Message = Add;

    fn receive(&mut self, ctx: &mut Context<Self>, add: &Archived<Add>) -> Next<Self> {
        self.total += add.n.to_native();
        if let Some(reply_to) = add.reply_to.as_ref() {
            ctx.tell(*reply_to, &Sum { total: self.total });
        }
        Next::Same
    }
}

/// Tells another actor the numbers up to `n`, passes a question on, and watches.
struct Teller {
    to: ActorRef<Add>,
    told: ActorRef<Sum>,
}

impl Actor for Teller {
    type Message = Add;

    fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
        ctx.watch(self.to);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<Self>, add: &Archived<Add>) -> Next<Self> {
        for n in 1..=add.n.to_native() {
            ctx.tell(self.to, &Add { n, reply_to: None });
        }
        let reply_to = add.reply_to.as_ref().copied();
        ctx.tell(self.to, &Add { n: 0, reply_to });
        Next::Same
    }

    fn signal(&mut self, ctx: &mut Context<Self>, signal: &Signal) -> Next<Self> {
        if let Signal::Terminated { actor, .. } = signal {
            assert_eq!(*actor, self.to.address());
            ctx.tell(self.told, &Sum { total: 7 });
        }
        Next::Same
    }
}

fn node(name: &str, cores: usize, transport: Transport) -> Result<(Node, Links), Box<dyn Error>> {
    let links = transport.links();
    let builder = Node::builder().name(name).cores(Cores::count(cores)).idle(IdleProfile::Eco);
    Ok((builder.with(transport).start()?, links))
}

fn files(authority: &Authority, issued: Issued) -> TlsFiles {
    TlsFiles::new(authority.file(), issued.certificate, issued.key)
}

/// Makes a certificate one that was good until some years ago.
fn expired(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
}

/// A node that others may link to, with its own certificate.
fn listening(
    authority: &Authority,
    cores: usize,
) -> Result<(Node, Links, SocketAddr), Box<dyn Error>> {
    let own = files(authority, authority.issue("one", SYSTEM)?);
    let (one, links) = node("one", cores, Transport::new().listen("127.0.0.1:0")?.tls(own))?;
    let address = links.wait_listening(PATIENCE).ok_or("it does not listen")?;
    Ok((one, links, address))
}

/// The next failure that a node tells of.
fn failure(links: &Links) -> Option<(bool, TlsFailure)> {
    loop {
        match links.wait_event(PATIENCE)? {
            LinkEvent::TlsFailed { peer, dialled, failure } => {
                assert!(peer.is_some_and(|peer| peer.ip().is_loopback()));
                return Some((dialled, failure));
            }
            _ => continue,
        }
    }
}

/// Whether an actor of one node answers to the other.
fn assert_linked(one: &Node, two: &Node) -> Outcome {
    let to = one.spawn(Adder::default)?;
    let ask = |reply_to| Add { n: 5, reply_to: Some(reply_to) };
    assert_eq!(two.client().ask(to, ask, PATIENCE).wait()?, Sum { total: 5 });
    one.stop(to)?;
    Ok(())
}

#[test]
fn actors_of_nodes_that_are_linked_by_tls_tell_ask_and_watch_on_every_core() -> Outcome {
    let authority = Authority::new("the authority")?;
    for cores in [(1, 1), (2, 2), (1, 2), (2, 1)] {
        let (one, links, address) = listening(&authority, cores.0)?;
        let own = files(&authority, authority.issue("two", SYSTEM)?);
        let transport = Transport::new().connect(&address.to_string())?.tls(own);
        let (two, others) = node("two", cores.1, transport)?;
        links.wait_for_nodes(1, PATIENCE).ok_or("no node came")?;
        others.wait_for_nodes(1, PATIENCE).ok_or("the node was not reached")?;
        for _ in 0..2 {
            let client = two.client();
            let inbox = client.inbox::<Sum>()?;
            let (to, told) = (one.spawn(Adder::default)?, inbox.actor());
            let teller = two.spawn(move || Teller { to, told })?;
            let ask = |reply_to| Add { n: 10_000, reply_to: Some(reply_to) };
            let sum: Sum = client.ask(teller, ask, PATIENCE).wait()?;
            assert_eq!(sum.total, 50_005_000, "{cores:?}");
            one.stop(to)?;
            assert_eq!(inbox.wait(PATIENCE)?, Some(Sum { total: 7 }));
        }
        two.shutdown(PATIENCE)?;
        one.shutdown(PATIENCE)?;
    }
    Ok(())
}

#[test]
fn a_node_of_another_authority_or_for_another_system_is_not_linked_and_others_are() -> Outcome {
    let (authority, stranger) = (Authority::new("the authority")?, Authority::new("a stranger")?);
    let (one, links, address) = listening(&authority, 1)?;
    let to = || Transport::new().connect(&address.to_string());

    // Its own files fit together, but not with those of the others.
    let own = files(&stranger, stranger.issue("two", SYSTEM)?);
    let (two, refused) = node("two", 1, to()?.tls(own))?;
    assert_eq!(failure(&refused), Some((true, TlsFailure::UnknownIssuer)));
    // It has said so: alert unknown_ca.
    assert_eq!(failure(&links), Some((false, TlsFailure::RefusedByPeer { alert: 48 })));
    assert!(refused.nodes().is_empty() && links.nodes().is_empty());

    let own = files(&authority, authority.issue("three", "another-system")?);
    let (three, others) = node("three", 1, to()?.tls(own.name("another-system")))?;
    assert_eq!(failure(&others), Some((true, TlsFailure::OtherName)));

    let own = files(&authority, authority.issue("four", SYSTEM)?);
    let (four, linked) = node("four", 1, to()?.tls(own))?;
    linked.wait_for_nodes(1, PATIENCE).ok_or("the right certificate was refused")?;
    let names: Vec<String> = links.nodes().into_iter().map(|node| node.name).collect();
    assert_eq!(names, ["four"]);
    assert_linked(&one, &four)?;
    for node in [one, two, three, four] {
        node.shutdown(PATIENCE)?;
    }
    Ok(())
}

#[test]
fn who_dials_must_show_a_certificate_that_is_good_now_and_for_the_system() -> Outcome {
    let (authority, stranger) = (Authority::new("the authority")?, Authority::new("a stranger")?);
    let (one, links, address) = listening(&authority, 1)?;
    let client = |own: Option<&Issued>| connect(address, &authority.file(), SYSTEM, own, &[&TLS13]);
    for (own, wanted, words) in [
        (None, TlsFailure::NoCertificate, "CertificateRequired"),
        (
            Some(authority.issue_with("old", SYSTEM, expired)?),
            TlsFailure::Expired,
            "CertificateExpired",
        ),
        (Some(stranger.issue("two", SYSTEM)?), TlsFailure::UnknownIssuer, "UnknownCA"),
        (
            Some(authority.issue("other", "another-system")?),
            TlsFailure::OtherName,
            "BadCertificate",
        ),
    ] {
        let mut client = client(own.as_ref())?;
        // The dialling side is done before the other one has seen its certificate.
        client.write_all(b"bytes that nobody may read")?;
        let heard = last_words(&mut client);
        assert!(heard.contains(words), "{wanted:?}: {heard}");
        assert_eq!(failure(&links), Some((false, wanted)));
    }
    one.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn a_peer_without_tls_or_with_an_older_one_is_refused_and_other_links_go_on() -> Outcome {
    let authority = Authority::new("the authority")?;
    let (one, links, address) = listening(&authority, 1)?;
    let own = authority.issue("two", SYSTEM)?;
    let mut old = connect(address, &authority.file(), SYSTEM, Some(&own), &[&TLS12])?;
    let heard = old.write_all(b"hello").err().map(|error| error.to_string()).unwrap_or_default();
    assert!(heard.contains("ProtocolVersion"), "{heard}");
    assert_eq!(failure(&links), Some((false, TlsFailure::Version)));

    let transport = Transport::new().connect(&address.to_string())?.tls(files(&authority, own));
    let (two, others) = node("two", 1, transport)?;
    others.wait_for_nodes(1, PATIENCE).ok_or("the node was not reached")?;

    // A node of the system that speaks no TLS.
    let (three, _) = node("three", 1, Transport::new().connect(&address.to_string())?)?;
    assert_eq!(failure(&links), Some((false, TlsFailure::NotTls)));
    // Somebody who leaves without a word.
    drop(TcpStream::connect(address)?);
    loop {
        // The other node dials again and again.
        match failure(&links) {
            Some((false, TlsFailure::NotTls)) => {}
            found => break assert_eq!(found, Some((false, TlsFailure::Left))),
        }
    }
    assert_linked(&one, &two)?;
    for node in [one, two, three] {
        node.shutdown(PATIENCE)?;
    }
    Ok(())
}

#[test]
fn a_node_that_dials_a_peer_without_tls_says_so() -> Outcome {
    let authority = Authority::new("the authority")?;
    let (one, links) = node("one", 1, Transport::new().listen("127.0.0.1:0")?)?;
    let address = links.wait_listening(PATIENCE).ok_or("it does not listen")?;
    let own = files(&authority, authority.issue("two", SYSTEM)?);
    let (two, others) = node("two", 1, Transport::new().connect(&address.to_string())?.tls(own))?;
    let found = failure(&others);
    assert!(
        matches!(found, Some((true, TlsFailure::NotTls | TlsFailure::Left))),
        "found {found:?}"
    );
    assert!(links.nodes().is_empty() && others.nodes().is_empty());
    one.shutdown(PATIENCE)?;
    two.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn a_peer_that_does_not_go_on_with_its_handshake_is_closed_in_time() -> Outcome {
    let authority = Authority::new("the authority")?;
    let (one, links, address) = listening(&authority, 1)?;
    let mut slow = TcpStream::connect(address)?;
    // The beginning of a record of 512 bytes that never come.
    slow.write_all(&[22, 3, 1, 2, 0, 1])?;
    slow.set_read_timeout(Some(PATIENCE))?;
    let mut nothing = [0; 8];
    assert!(matches!(slow.read(&mut nothing), Ok(0) | Err(_)));
    assert_eq!(failure(&links), Some((false, TlsFailure::Late)));

    // And one that answers nothing to a node that dials.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let address = silent.local_addr()?.to_string();
    let own = files(&authority, authority.issue("two", SYSTEM)?);
    let (two, others) = node("two", 1, Transport::new().connect(&address)?.tls(own))?;
    assert_eq!(failure(&others), Some((true, TlsFailure::Late)));
    one.shutdown(PATIENCE)?;
    two.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn new_connections_use_new_certificates_and_a_bad_file_changes_nothing() -> Outcome {
    let (authority, stranger) = (Authority::new("the authority")?, Authority::new("a stranger")?);
    let issued = authority.issue("one", SYSTEM)?;
    let (certificate, key) = (issued.certificate.clone(), issued.key.clone());
    let transport = Transport::new().listen("127.0.0.1:0")?.tls(files(&authority, issued));
    let (one, links) = node("one", 1, transport)?;
    let address = links.wait_listening(PATIENCE).ok_or("it does not listen")?;
    let two = authority.issue("two", SYSTEM)?;
    let shown = || {
        let mut client = connect(address, &authority.file(), SYSTEM, Some(&two), &[&TLS13])?;
        client.write_all(b"x")?;
        let shown = client.conn.peer_certificates().and_then(|chain| chain.first());
        Ok::<_, Box<dyn Error>>(shown.map(|certificate| certificate.to_vec()))
    };
    let first = shown()?;
    assert!(first.is_some());

    // Its key is not there yet.
    let whole = std::fs::read(&key)?;
    std::fs::write(&key, b"not yet")?;
    let refused = links.reload_certificates();
    assert!(matches!(&refused, Err(TlsError::NoKey { path }) if *path == key), "{refused:?}");
    assert_eq!(shown()?, first);

    // A certificate that no peer would take.
    std::fs::write(&key, whole)?;
    let wrong = stranger.issue("wrong", SYSTEM)?;
    std::fs::copy(&wrong.certificate, &certificate)?;
    assert!(matches!(links.reload_certificates(), Err(TlsError::Own { .. })));
    assert_eq!(shown()?, first);

    authority.issue("one", SYSTEM)?;
    assert_eq!(shown()?, first, "not before it is asked for");
    links.reload_certificates()?;
    assert_ne!(shown()?, first);
    one.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn files_that_do_not_fit_are_refused_at_the_start_with_what_to_do() -> Outcome {
    let (authority, stranger) = (Authority::new("the authority")?, Authority::new("a stranger")?);
    let good = authority.issue("good", SYSTEM)?;
    let other = authority.issue("other", SYSTEM)?;
    let old = authority.issue_with("old", SYSTEM, expired)?;
    let start = |ca: &Authority, certificate: &Issued, key: &Issued| {
        let files = TlsFiles::new(ca.file(), &certificate.certificate, &key.key);
        let refused = node("one", 1, Transport::new().listen("127.0.0.1:0")?.tls(files)).err();
        let refused = refused.ok_or("it has started")?.to_string();
        assert_eq!(refused.lines().count(), 1, "{refused}");
        Ok::<String, Box<dyn Error>>(refused)
    };
    let refused = start(&authority, &good, &other)?;
    assert!(refused.contains("other.key") && refused.contains("good.pem"), "{refused}");
    let refused = start(&authority, &old, &old)?;
    assert!(refused.contains("old.pem: the certificate has expired"), "{refused}");
    let refused = start(&stranger, &good, &good)?;
    assert!(refused.contains("good.pem: the certificate is not from"), "{refused}");
    let nowhere = Issued { certificate: "nowhere.pem".into(), key: "nowhere.key".into() };
    let refused = start(&authority, &nowhere, &nowhere)?;
    assert!(refused.contains("nowhere.pem: cannot be read"), "{refused}");
    let swapped = Issued { certificate: good.key.clone(), key: good.certificate.clone() };
    let refused = start(&authority, &swapped, &good)?;
    assert!(refused.contains("good.key: no certificate in it"), "{refused}");
    let refused = start(&authority, &good, &swapped)?;
    assert!(refused.contains("good.pem: no private key in it"), "{refused}");
    Ok(())
}

#[test]
fn the_commands_of_the_page_make_certificates_that_nodes_take() -> Outcome {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: there is no openssl here");
        return Ok(());
    }
    let page = include_str!("../../../docs/links.md");
    let commands = page.split("```shell\n").nth(1).and_then(|rest| rest.split("```").next());
    let authority = Authority::new("for its folder")?;
    let folder = authority.file().parent().ok_or("a file has a folder")?.to_owned();
    let shell = Command::new("sh")
        .args(["-e", "-c", commands.ok_or("the page has no commands")?])
        .current_dir(&folder)
        .output()?;
    assert!(shell.status.success(), "{}", String::from_utf8_lossy(&shell.stderr));
    let made =
        || TlsFiles::new(folder.join("ca.pem"), folder.join("node.pem"), folder.join("node.key"));
    let (one, links) = node("one", 1, Transport::new().listen("127.0.0.1:0")?.tls(made()))?;
    let address = links.wait_listening(PATIENCE).ok_or("it does not listen")?.to_string();
    let (two, others) = node("two", 1, Transport::new().connect(&address)?.tls(made()))?;
    others.wait_for_nodes(1, PATIENCE).ok_or("the node was not reached")?;
    assert_linked(&one, &two)?;
    one.shutdown(PATIENCE)?;
    two.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn an_address_that_others_reach_needs_a_key_or_tls() -> Outcome {
    let authority = Authority::new("the authority")?;
    let refused = node("one", 1, Transport::new().listen("0.0.0.0:0")?).err();
    let refused = refused.ok_or("it has started")?.to_string();
    assert!(refused.contains("neither a key nor TLS"), "{refused}");
    let own = files(&authority, authority.issue("one", SYSTEM)?);
    let (one, _) = node("one", 1, Transport::new().listen("0.0.0.0:0")?.tls(own))?;
    one.shutdown(PATIENCE)?;
    let error = TransportError::Tls(TlsError::NotInUse);
    assert_eq!(error.to_string().lines().count(), 1);
    Ok(())
}
