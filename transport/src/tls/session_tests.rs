//! Two sessions with nothing between them but splits, damage and a sudden end.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::super::authority::{Authority, Issued};
use super::super::files::{Material, TlsFiles, TlsServer, of_node, of_server};
use super::*;

const SYSTEM: &str = "mainspring";

/// Plaintext that may wait in each of the tests' sessions.
const LIMIT_BYTES: usize = 64 << 10;

/// One node's files, read once for all tests.
static MATERIAL: LazyLock<Material> = LazyLock::new(|| {
    let authority = Authority::new("the authority").expect("an authority can be made");
    let Issued { certificate, key } = authority.issue("one", SYSTEM).expect("it can issue");
    let files = TlsFiles::new(authority.file(), certificate, key);
    of_node(&files, SYSTEM).expect("what was issued fits")
});

/// Both ends of a connection before its first byte.
fn ends() -> (Session, Session) {
    let (config, name) = MATERIAL.client.clone().expect("a node dials too");
    let client = Session::dial(config, name, LIMIT_BYTES).expect("it can dial");
    let server = Session::answer(Arc::clone(&MATERIAL.server), LIMIT_BYTES).expect("it answers");
    (client, server)
}

/// What one end has to send.
fn outgoing(end: &mut Session) -> Vec<u8> {
    end.take_outgoing().map(|bytes| bytes.as_slice().to_vec()).unwrap_or_default()
}

/// Carries what the ends say until neither has more to say.
fn converse(one: &mut Session, two: &mut Session) -> Result<(), TlsFailure> {
    loop {
        let (from_one, from_two) = (outgoing(one), outgoing(two));
        if from_one.is_empty() && from_two.is_empty() {
            return Ok(());
        }
        assert_eq!(two.receive(&from_one)?, from_one.len());
        assert_eq!(one.receive(&from_two)?, from_two.len());
    }
}

fn secured() -> (Session, Session) {
    let (mut client, mut server) = ends();
    assert_eq!(converse(&mut client, &mut server), Ok(()));
    assert!(client.is_secured() && server.is_secured());
    (client, server)
}

fn taken(end: &mut Session) -> Vec<u8> {
    let mut plaintext = end.lend_plaintext();
    let bytes = plaintext.view().to_vec();
    plaintext.take(bytes.len());
    end.put_back(plaintext);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn however_the_ciphertext_is_split_the_plaintext_comes_whole_and_in_order(
        parts in proptest::collection::vec(1_usize..3_000, 1..200),
        sizes in proptest::collection::vec(0_usize..40_000, 0..6),
    ) {
        let (mut client, mut server) = ends();
        let mut parts = parts.iter().cycle();
        let (mut wanted, mut found) = (Vec::new(), Vec::new());
        let mut sizes = sizes.into_iter();
        loop {
            if client.is_secured() && !client.has_outgoing() && !client.has_finished() {
                match sizes.next() {
                    Some(size) => {
                        let bytes: Vec<u8> = (0..size).map(|at| (at ^ size) as u8).collect();
                        prop_assert_eq!(client.send(&bytes), Ok(()));
                        wanted.extend(bytes);
                    }
                    None => client.finish(),
                }
            }
            let (from_client, from_server) = (outgoing(&mut client), outgoing(&mut server));
            if from_client.is_empty() && from_server.is_empty() && client.has_finished() {
                break;
            }
            for (to, bytes) in [(&mut server, from_client), (&mut client, from_server)] {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let part = (*parts.next().unwrap_or(&1)).min(rest.len());
                    let taken_bytes = to.receive(&rest[..part]);
                    prop_assert!(taken_bytes.is_ok(), "{taken_bytes:?}");
                    rest = &rest[taken_bytes.unwrap_or(0)..];
                    if !to.has_room() {
                        found.extend(taken(to));
                    }
                }
            }
        }
        found.extend(taken(&mut server));
        prop_assert!(found == wanted);
        prop_assert!(server.peer_finished() && !client.peer_finished());
        prop_assert_eq!(server.end_of_ciphertext(), Ok(()));
        prop_assert_eq!(client.end_of_ciphertext(), Err(TlsFailure::CutOff));
    }

    #[test]
    fn a_flipped_bit_of_a_secured_stream_is_found_before_its_plaintext_is_shown(
        size in 1_usize..40_000,
        place in any::<proptest::sample::Index>(),
        bit in 0_u32..8,
    ) {
        let (mut client, mut server) = secured();
        prop_assert_eq!(client.send(&vec![7; size]), Ok(()));
        let mut bytes = outgoing(&mut client);
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // A length that has grown waits for bytes that never come.
        let end = server.receive(&bytes).map(|_| ()).and_then(|()| server.end_of_ciphertext());
        prop_assert!(end.is_err());
        let shown = taken(&mut server);
        prop_assert!(shown.len() < size && shown.iter().all(|byte| *byte == 7));
        // Nothing more comes of it.
        prop_assert!(server.receive(&bytes).is_err() && server.send(b"x").is_err());
    }

    #[test]
    fn bytes_of_anybody_end_a_handshake_and_panic_nowhere(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        cut in any::<proptest::sample::Index>(),
        is_damaged in any::<bool>(),
    ) {
        let (mut client, mut server) = ends();
        let hello = outgoing(&mut client);
        let mut sent = hello[..cut.index(hello.len())].to_vec();
        if is_damaged && let Some(last) = sent.last_mut() {
            *last ^= 0x55;
        }
        sent.extend(bytes);
        for part in sent.chunks(100) {
            if server.receive(part).is_err() {
                break;
            }
        }
        prop_assert!(!server.is_secured() && server.plaintext().is_empty());
        prop_assert!(server.end_of_ciphertext().is_err());
        prop_assert!(outgoing(&mut server).len() < 16 << 10);
    }
}

#[test]
fn nothing_is_sent_before_the_handshake_is_over_or_after_the_end() {
    let (mut client, mut server) = ends();
    assert!(client.send(b"too early").is_err() && server.send(b"too early").is_err());
    let (mut client, mut server) = secured();
    client.finish();
    assert!(client.send(b"too late").is_err());
    assert_eq!(converse(&mut client, &mut server), Ok(()));
    assert!(server.peer_finished());
    // The other direction stays open.
    assert_eq!(server.send(b"an answer"), Ok(()));
    assert_eq!(converse(&mut client, &mut server), Ok(()));
    assert_eq!(taken(&mut client), b"an answer");
    server.finish();
    assert_eq!(converse(&mut client, &mut server), Ok(()));
    assert!(client.peer_finished());
}

#[test]
fn what_follows_the_peers_end_is_no_part_of_the_stream() {
    let (mut client, mut server) = secured();
    client.finish();
    let mut bytes = outgoing(&mut client);
    bytes.extend_from_slice(b"whatever anybody writes here");
    assert_eq!(server.receive(&bytes), Ok(bytes.len()));
    assert!(server.peer_finished() && server.plaintext().is_empty());
}

#[test]
fn no_more_is_taken_while_as_much_plaintext_waits_as_may() {
    let (mut client, mut server) = secured();
    assert_eq!(client.send(&vec![1; 4 * LIMIT_BYTES]), Ok(()));
    let bytes = outgoing(&mut client);
    let first = server.receive(&bytes).expect("nothing is wrong with it");
    assert!(first < bytes.len() && !server.has_room());
    assert!(server.plaintext().len() <= LIMIT_BYTES + PIECE_BYTES + UNDECIDED_LIMIT_BYTES);
    assert_eq!(server.receive(&bytes[first..]), Ok(0));
    // It can still speak.
    assert_eq!(server.send(b"wait"), Ok(()));
    let mut found = taken(&mut server).len();
    let mut rest = &bytes[first..];
    while !rest.is_empty() {
        rest = &rest[server.receive(rest).expect("the rest is as good")..];
        found += taken(&mut server).len();
    }
    assert_eq!(found, 4 * LIMIT_BYTES);
}

#[test]
fn a_failure_leaves_one_alert_for_the_peer_who_then_knows_why() {
    let (mut client, mut server) = secured();
    assert_eq!(client.send(b"pay a hundred"), Ok(()));
    let mut bytes = outgoing(&mut client);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(server.receive(&bytes), Err(TlsFailure::Damaged));
    let alert = outgoing(&mut server);
    // bad_record_mac
    assert_eq!(client.receive(&alert), Err(TlsFailure::RefusedByPeer { alert: 20 }));
    assert_eq!(outgoing(&mut client), b"");
}

#[test]
fn who_leaves_in_the_handshake_and_who_speaks_no_tls_are_told_apart() {
    let (mut client, mut server) = ends();
    assert_eq!(server.receive(&outgoing(&mut client)[..100]), Ok(100));
    assert_eq!(server.end_of_ciphertext(), Err(TlsFailure::Left));
    let (_, mut server) = ends();
    assert_eq!(server.receive(b"GET / HTTP/1.1\r\n\r\n"), Err(TlsFailure::NotTls));
}

#[test]
fn a_server_without_authorities_of_clients_takes_any() {
    let authority = Authority::new("the authority").expect("an authority can be made");
    let issued = authority.issue("server", SYSTEM).expect("it can issue");
    let files = TlsServer::new(&issued.certificate, &issued.key);
    let server = of_server(&files).expect("what was issued fits").server;
    let files = TlsFiles::new(authority.file(), &issued.certificate, &issued.key);
    let dialling = of_node(&files, SYSTEM).expect("what was issued fits");
    let (config, name) = dialling.client.expect("a node dials too");
    let mut client = Session::dial(config, name, LIMIT_BYTES).expect("it can dial");
    let mut server = Session::answer(server, LIMIT_BYTES).expect("it answers");
    assert_eq!(converse(&mut client, &mut server), Ok(()));
    assert!(client.is_secured() && server.is_secured());
}
