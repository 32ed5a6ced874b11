//! A client's side of the rings from the cores: what has come, and who waits for it.
//!
//! Whoever looks takes everything out of the rings and puts it where it belongs; the others are woken. The cores only
//! set rings and wake one waiting thread or future, without a lock.
//!
//! Invariant: while someone waits, a waker is registered or the flag `waiting` is down and someone is about to look.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use atomic_waker::AtomicWaker;

use crate::address::{ActorRef, PORT_REPLY};
use crate::core::KIND_USER;
use crate::core::outbound::Wake;
use crate::frame::archive::{read_delivered, read_foreign};
use crate::frame::{AlignedBuffer, FLAG_FOREIGN};
use crate::message::{ReadError, Reply};
use crate::ring::Consumer;

/// Questions of one client that wait for answers.
pub(super) const ASKS_LIMIT: usize = 65_536;

/// Inboxes of one client.
pub(super) const INBOXES_LIMIT: usize = 4096;

/// Bytes that wait in one inbox; what comes beyond is counted and dropped.
pub(super) const INBOX_LIMIT_BYTES: usize = 16 << 20;

/// What the cores and the client's threads share.
pub(super) struct Mailbox {
    waiting: AtomicBool,
    waker: AtomicWaker,
    contents: Mutex<Contents>,
}

/// A payload as it came.
pub(super) struct Arrived {
    payload: AlignedBuffer,
    /// From another node: it begins with its prefix, and nothing of it was checked.
    foreign: bool,
}

impl Arrived {
    /// The message, if it is what is taken at `address`.
    pub fn read<M: Reply>(&self, address: ActorRef<M>) -> Result<M, ReadError> {
        if !self.foreign {
            return read_delivered(&self.payload, address);
        }
        read_foreign(&self.payload, address.node()).map_err(|refused| {
            let wanted = M::NAME;
            tracing::warn!(wanted, %refused, "a message from another node to a client was refused");
            ReadError
        })
    }
}

/// A question that waits for its answer.
enum Slot {
    Free,
    Waiting(Option<Waker>),
    Answered(Arrived),
}

struct Entry {
    generation: u32,
    slot: Slot,
}

/// Messages that wait for the owner of an inbox.
struct Messages {
    generation: u32,
    open: bool,
    queue: VecDeque<Arrived>,
    bytes: usize,
    missed: u64,
    waker: Option<Waker>,
}

struct Contents {
    rings: Vec<Consumer>,
    asks: Vec<Entry>,
    free_asks: Vec<u32>,
    inboxes: Vec<Messages>,
    first_generation: u32,
    strays: u64,
}

/// What an ask finds.
pub(super) enum Found {
    Nothing,
    Answer(Arrived),
}

impl Mailbox {
    /// `first_generation` differs from client to client, so that an answer for an earlier client with the same number
    /// finds nobody.
    pub fn new(rings: Vec<Consumer>, first_generation: u32) -> Mailbox {
        Mailbox {
            waiting: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            contents: Mutex::new(Contents {
                rings,
                asks: Vec::new(),
                free_asks: Vec::new(),
                inboxes: Vec::new(),
                first_generation,
                strays: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for an answer: its number and generation; `None` at the limit.
    pub fn open_ask(&self) -> Option<(u32, u32)> {
        let mut contents = self.lock();
        if let Some(number) = contents.free_asks.pop() {
            let entry = &mut contents.asks[number as usize];
            entry.slot = Slot::Waiting(None);
            return Some((number, entry.generation));
        }
        if contents.asks.len() >= ASKS_LIMIT {
            return None;
        }
        let generation = contents.first_generation;
        contents.asks.push(Entry { generation, slot: Slot::Waiting(None) });
        Some((contents.asks.len() as u32 - 1, generation))
    }

    /// Gives a slot up. Others who wait look for themselves, since the one who gives up may have been woken for them.
    pub fn close_ask(&self, number: u32) {
        let mut contents = self.lock();
        if let Some(entry) = contents.asks.get_mut(number as usize)
            && !matches!(entry.slot, Slot::Free)
        {
            entry.slot = Slot::Free;
            entry.generation = entry.generation.wrapping_add(1);
            contents.free_asks.push(number);
        }
        contents.wake_all();
    }

    /// Looks for an answer; `waker` is woken when there may be one.
    pub fn look(&self, number: u32, waker: &Waker) -> Found {
        let mut contents = self.lock();
        contents.drain();
        if let Some(answer) = contents.take_answer(number) {
            return Found::Answer(answer);
        }
        if let Some(Entry { slot: Slot::Waiting(mine), .. }) =
            contents.asks.get_mut(number as usize)
        {
            *mine = Some(waker.clone());
        }
        self.arm(&mut contents, waker);
        match contents.take_answer(number) {
            Some(answer) => Found::Answer(answer),
            None => Found::Nothing,
        }
    }

    /// From now on a core that publishes wakes `waker`; what was published before is taken out.
    fn arm(&self, contents: &mut Contents, waker: &Waker) {
        self.waker.register(waker);
        self.waiting.store(true, Ordering::Relaxed);
        // Pairs with the fence in `wake_after_publish`: either we see the frame, or the core sees the flag.
        fence(Ordering::SeqCst);
        contents.drain();
    }

    /// A new inbox: its number and generation; `None` at the limit.
    pub fn open_inbox(&self) -> Option<(u32, u32)> {
        let mut contents = self.lock();
        let free = contents.inboxes.iter().position(|inbox| !inbox.open);
        let number = match free {
            Some(number) => number,
            None if contents.inboxes.len() < INBOXES_LIMIT => {
                let generation = contents.first_generation;
                contents.inboxes.push(Messages {
                    generation,
                    open: false,
                    queue: VecDeque::new(),
                    bytes: 0,
                    missed: 0,
                    waker: None,
                });
                contents.inboxes.len() - 1
            }
            None => return None,
        };
        let inbox = &mut contents.inboxes[number];
        inbox.open = true;
        Some((number as u32, inbox.generation))
    }

    pub fn close_inbox(&self, number: u32) {
        let mut contents = self.lock();
        if let Some(inbox) = contents.inboxes.get_mut(number as usize) {
            let generation = inbox.generation.wrapping_add(1);
            *inbox = Messages {
                generation,
                open: false,
                queue: VecDeque::new(),
                bytes: 0,
                missed: 0,
                waker: None,
            };
        }
        contents.wake_all();
    }

    /// The next message of an inbox; without one, `waker` is woken when there may be one.
    pub fn next_message(&self, number: u32, waker: Option<&Waker>) -> Option<Arrived> {
        let mut contents = self.lock();
        contents.drain();
        if let Some(message) = contents.take_message(number) {
            return Some(message);
        }
        let waker = waker?;
        if let Some(inbox) = contents.inboxes.get_mut(number as usize) {
            inbox.waker = Some(waker.clone());
        }
        self.arm(&mut contents, waker);
        contents.take_message(number)
    }

    /// Messages that an inbox had no room for.
    pub fn missed(&self, number: u32) -> u64 {
        self.lock().inboxes.get(number as usize).map_or(0, |inbox| inbox.missed)
    }

    /// Frames for nobody: answers after their deadline, messages for closed inboxes.
    pub fn strays(&self) -> u64 {
        self.lock().strays
    }
}

impl Wake for Mailbox {
    fn wake_after_publish(&self) -> bool {
        // Pairs with the fence in `arm`.
        fence(Ordering::SeqCst);
        if !self.waiting.load(Ordering::Relaxed) || !self.waiting.swap(false, Ordering::AcqRel) {
            return false;
        }
        // The waker is foreign code on a core's thread: its panic must not be the core's.
        let woken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.waker.wake()));
        if woken.is_err() {
            tracing::error!("the waker of a client's future panicked");
        }
        true
    }
}

impl Contents {
    /// Takes everything out of the rings and wakes those for whom something came.
    fn drain(&mut self) {
        let mut rings = std::mem::take(&mut self.rings);
        for ring in &mut rings {
            let mut took = false;
            while let Some(frame) = ring.next_frame() {
                took = true;
                let header = frame.header();
                if header.kind() != KIND_USER {
                    // Its payload is no message, so nobody may read it as one.
                    self.strays += 1;
                    continue;
                }
                let mut payload = AlignedBuffer::zeroed(frame.payload().len());
                payload.as_mut_slice().copy_from_slice(frame.payload());
                let payload = Arrived { payload, foreign: header.flags() & FLAG_FOREIGN != 0 };
                if header.port() == PORT_REPLY {
                    self.answer(header.slot(), header.generation(), payload);
                } else {
                    self.deliver(header.slot(), header.generation(), payload);
                }
            }
            if took {
                ring.release();
            }
        }
        self.rings = rings;
    }

    fn answer(&mut self, number: u32, generation: u32, payload: Arrived) {
        match self.asks.get_mut(number as usize) {
            Some(entry) if entry.generation == generation => {
                if let Slot::Waiting(waker) = &mut entry.slot {
                    let waker = waker.take();
                    entry.slot = Slot::Answered(payload);
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                } else {
                    self.strays += 1;
                }
            }
            _ => self.strays += 1,
        }
    }

    fn deliver(&mut self, number: u32, generation: u32, payload: Arrived) {
        match self.inboxes.get_mut(number as usize) {
            Some(inbox) if inbox.open && inbox.generation == generation => {
                let size = payload.payload.as_slice().len() + crate::frame::HEADER_BYTES;
                if inbox.bytes + size > INBOX_LIMIT_BYTES {
                    inbox.missed += 1;
                    return;
                }
                inbox.bytes += size;
                inbox.queue.push_back(payload);
                if let Some(waker) = inbox.waker.take() {
                    waker.wake();
                }
            }
            _ => self.strays += 1,
        }
    }

    fn take_answer(&mut self, number: u32) -> Option<Arrived> {
        let entry = self.asks.get_mut(number as usize)?;
        if !matches!(entry.slot, Slot::Answered(_)) {
            return None;
        }
        let Slot::Answered(answer) = std::mem::replace(&mut entry.slot, Slot::Free) else {
            return None;
        };
        entry.generation = entry.generation.wrapping_add(1);
        self.free_asks.push(number);
        Some(answer)
    }

    fn take_message(&mut self, number: u32) -> Option<Arrived> {
        let inbox = self.inboxes.get_mut(number as usize)?;
        let message = inbox.queue.pop_front()?;
        inbox.bytes -= message.payload.as_slice().len() + crate::frame::HEADER_BYTES;
        Some(message)
    }

    /// Everyone who waits looks again.
    fn wake_all(&mut self) {
        for entry in &mut self.asks {
            if let Slot::Waiting(waker) = &mut entry.slot
                && let Some(waker) = waker.take()
            {
                waker.wake();
            }
        }
        for inbox in &mut self.inboxes {
            if let Some(waker) = inbox.waker.take() {
                waker.wake();
            }
        }
    }
}
