//! Space given back on real files, under a node that runs: the directory stays small, entities stay what they are, and
//! queries see each event once and in order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mainspring::prelude::*;
use mainspring_journal::query::{
    Batch, CursorError, EventQuery, Offset, Progress, QueryError, Selection,
};
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::Retention;
use mainspring_journal::{Effect, EventSourced, Journal, event, events, state};

#[message]
enum Command {
    Write { pages: u32, reply_to: ActorRef<Written> },
    Count { reply_to: ActorRef<Written> },
}

#[message]
#[derive(Debug, PartialEq)]
struct Written {
    pages: u64,
}

#[event(name = "book.written", version = 1)]
struct PageWritten {
    number: u64,
    text: Vec<u8>,
}

#[events]
enum BookEvent {
    PageWritten(PageWritten),
}

#[state(name = "book", version = 1)]
#[derive(Default)]
struct Book {
    pages: u64,
}

/// Bytes of a page.
const PAGE_BYTES: usize = 4 << 10;

impl EventSourced for Book {
    type Command = Command;
    type Event = BookEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        let answer = |book: &Self| Written { pages: book.pages };
        match command {
            ArchivedCommand::Write { pages, reply_to } => {
                let numbers = self.pages + 1..=self.pages + u64::from(pages.to_native());
                let text = |number: u64| vec![number as u8; PAGE_BYTES];
                let pages = numbers.map(|number| PageWritten { number, text: text(number) }.into());
                Effect::persist_all(pages).then_reply(*reply_to, answer)
            }
            ArchivedCommand::Count { reply_to } => Effect::reply(*reply_to, answer(self)),
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, BookEvent>) {
        let ArchivedBookEvent::PageWritten(page) = event;
        assert_eq!(page.number.to_native(), self.pages + 1, "the pages come in order");
        assert!(page.text.iter().all(|byte| *byte == (self.pages + 1) as u8));
        self.pages += 1;
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
const SEGMENT_BYTES: u64 = 512 << 10;
/// What the directory may hold: the segments in use and ready, those whose pages no snapshot stands for yet, and those
/// that are on their way out.
const BOUND_BYTES: u64 = 16 * SEGMENT_BYTES;

/// So often is asked whether there is room, before it is called a failure.
const MOST_ASKS: u32 = 1_000_000;

/// A folder under the build's own, which is on a real file system.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }

    fn journal(&self) -> Journal {
        Journal::at(&self.0)
            .system("books")
            .shard_count(8)
            .segment_bytes(SEGMENT_BYTES)
            .snapshot_every(16)
            .retention(Retention::ToSnapshot)
            .allow_buffered(true)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn node(journal: &Journal) -> Node {
    let node = Node::builder().name("books").cores(Cores::count(1)).idle(IdleProfile::Eco);
    node.with(journal.clone()).start().expect("a node")
}

fn book(journal: &Journal, node: &Node, id: u64) -> ActorRef<Command> {
    journal.entity(node, id, Book::default).start().expect("a book")
}

fn write(client: &Client, book: ActorRef<Command>, pages: u32) -> u64 {
    let written = client.ask(book, |reply_to| Command::Write { pages, reply_to }, PATIENCE);
    written.wait().expect("it is written").pages
}

fn count(client: &Client, book: ActorRef<Command>) -> u64 {
    client.ask(book, |reply_to| Command::Count { reply_to }, PATIENCE).wait().expect("told").pages
}

/// Bytes that the files below a folder take; a file may go while they are counted.
fn bytes_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(facts) if facts.is_dir() => bytes_of(&entry.path()),
            Ok(facts) => facts.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Reads what is durable and not read; each book's pages must go on where they were.
fn read_on(query: &mut EventQuery, pages: &mut [u64]) {
    let mut batch = Batch::new();
    loop {
        let progress = query.read(&mut batch).expect("nothing that is not read was given back");
        for event in batch.events() {
            let book = event.entity_id().as_number().expect("a number") as usize;
            assert_eq!(event.sequence(), pages[book] + 1, "of book {book}");
            pages[book] = event.sequence();
        }
        if progress != Progress::More {
            return;
        }
    }
}

#[test]
fn a_directory_stays_small_while_twenty_times_as_much_is_written_and_queries_miss_nothing() {
    let folder = Folder::new("space");
    let journal = folder.journal();
    let node_of_first_life = node(&journal);
    let client = node_of_first_life.client();
    let books: Vec<_> = (0..3).map(|id| book(&journal, &node_of_first_life, id)).collect();
    let logs = journal.logs().expect("it is open");
    let mut query = EventQuery::live(logs, Selection::all(), &Offset::beginning()).expect("live");
    let mut seen = [0; 3];

    // One book is left alone early, with pages behind its last snapshot.
    for _ in 0..7 {
        write(&client, books[1], 7);
    }
    read_on(&mut query, &mut seen);
    let early = query.offset();
    let (mut written_bytes, mut most_bytes) = (0, 0);
    while written_bytes < 20 * BOUND_BYTES {
        write(&client, books[0], 16);
        written_bytes += 16 * PAGE_BYTES as u64;
        read_on(&mut query, &mut seen);
        most_bytes = most_bytes.max(bytes_of(&folder.0));
        // A writer that is faster than files are removed rests, or the pace of the machine would be tested.
        let mut asks = 0;
        while bytes_of(&folder.0) > BOUND_BYTES / 4 * 3 {
            count(&client, books[0]);
            asks += 1;
            assert!(asks < MOST_ASKS, "no space is given back: {:?}", journal.figures(0));
        }
    }
    let pages = [count(&client, books[0]), 49, 0];
    read_on(&mut query, &mut seen);
    assert_eq!(seen, pages);
    let figures = journal.figures(0).expect("figures");
    println!("{written_bytes} bytes of pages in at most {most_bytes} bytes: {figures:?}");
    assert!(most_bytes <= BOUND_BYTES, "{most_bytes} bytes: {figures:?}");
    assert!(figures.segments_dropped > 20 && figures.bytes_copied_forward > 0, "{figures:?}");
    assert_eq!(figures.bytes_given_back, figures.segments_dropped * SEGMENT_BYTES);

    // Where the query was at first is no more; it is told from where on there is something.
    let logs = journal.logs().expect("it is open");
    let mut late = EventQuery::current(logs, Selection::all(), &early).expect("its own logs");
    let refused = late.read(&mut Batch::new()).expect_err("its segment was given back");
    let QueryError::Log(CursorError::Gone { oldest_lsn, .. }) = refused else {
        panic!("{refused}");
    };
    let from = Offset::beginning().with(0, oldest_lsn);
    late.seek(&from).expect("its own logs");
    let (mut batch, mut news) = (Batch::new(), Vec::new());
    while late.read(&mut batch).expect("it is there") != Progress::Ended {
        news.extend(batch.events().map(|event| (event.entity_id().as_number(), event.sequence())));
    }
    news.extend(batch.events().map(|event| (event.entity_id().as_number(), event.sequence())));
    // Copies of the book that was left alone are not among them.
    assert!(news.iter().all(|(book, _)| *book == Some(0)), "{news:?}");
    assert!(news.windows(2).all(|pair| pair[0].1 + 1 == pair[1].1), "{news:?}");
    assert_eq!(news.last().map(|last| last.1), Some(pages[0]));
    drop(client);
    node_of_first_life.shutdown(PATIENCE).expect("a clean end");

    let journal = folder.journal();
    let node = node(&journal);
    let client = node.client();
    for (id, pages) in (0..).zip(pages) {
        let book = book(&journal, &node, id);
        assert_eq!(count(&client, book), pages, "of book {id}");
        assert_eq!(write(&client, book, 1), pages + 1);
    }
    drop(client);
    node.shutdown(PATIENCE).expect("a clean end");
}
