//! What a cell, a port and a question know how to call: one function for each pair of actor and handler.

use std::ptr::NonNull;

use rkyv::Archived;

use crate::actor::{Actor, Next, Port, Signal};
use crate::context::Context;
use crate::core::Core;
use crate::core::asks::AskError;
use crate::core::cell::{Cell, CellHead, Entry, UNUSUAL};
use crate::frame::archive;
use crate::frame::foreign::MessageInfo;
use crate::message::LocalMessage;

// What a turn says about what comes next, as its entry returns it; any other number is the address of a behaviour.
pub(crate) const SAME: u64 = 0;
pub(super) const STASH: u64 = 1;
pub(super) const STOP: u64 = 2;
pub(super) const FAULT: u64 = 3;
pub(super) const KEEP: u64 = 4;
pub(super) const AGAIN: u64 = 5;

#[inline(always)]
pub(super) fn encode<A: Actor>(next: Next<A>) -> u64 {
    match next {
        Next::Same => SAME,
        Next::Stash => STASH,
        Next::Stop => STOP,
        Next::Fault => FAULT,
        Next::Keep => KEEP,
        Next::Again => AGAIN,
        Next::Become(behavior) => behavior.info as *const _ as u64,
    }
}

/// A value of a function item's type, which has no bytes.
#[inline(always)]
pub(super) fn conjure<H: Copy + 'static>() -> H {
    const { assert!(size_of::<H>() == 0, "a handler is a method, or a closure that captures nothing") };
    // SAFETY: `H` has no bytes and is `Copy`; an entry for it exists only because a value of it was given.
    unsafe { NonNull::<H>::dangling().read() }
}

/// The state behind a cell head.
///
/// # Safety
/// `cell` is the live cell of an `A`, and no other reference to its state exists while the result does.
#[inline(always)]
pub(super) unsafe fn state<'a, A: Actor>(cell: NonNull<CellHead>) -> &'a mut A {
    // SAFETY: by the contract, the head is the first field of a `Cell<A>`.
    unsafe { &mut (*cell.cast::<Cell<A>>().as_ptr()).state }
}

/// Counts the turn and gives the actor's word.
///
/// # Safety
/// `cell` is a live cell.
#[inline(always)]
pub(super) unsafe fn begin(cell: NonNull<CellHead>) -> u64 {
    // SAFETY: by the contract; the head is not part of the state that the handler borrows.
    unsafe {
        (*cell.as_ptr()).turns += 1;
        (*cell.as_ptr()).me & !UNUSUAL
    }
}

/// Entry of a behaviour.
///
/// # Safety
/// As [`Entry`]: `cell` is the live cell of an `A`; the payload holds an archived `A::Message`.
pub(crate) unsafe fn turn<A, H>(
    core: &mut Core,
    cell: NonNull<CellHead>,
    payload: *const u8,
    bytes: usize,
) -> u64
where
    A: Actor,
    H: Fn(&mut A, &mut Context<'_, A>, &Archived<A::Message>) -> Next<A> + Copy + 'static,
{
    // SAFETY: the contract of this function is that of the three calls.
    unsafe {
        let me = begin(cell);
        let message = archive::root::<A::Message>(payload, bytes);
        encode(conjure::<H>()(state::<A>(cell), &mut Context::new(core, me), message))
    }
}

/// Entry of an actor's first behaviour.
///
/// # Safety
/// As [`turn`].
pub(crate) unsafe fn receive<A: Actor>(
    core: &mut Core,
    cell: NonNull<CellHead>,
    payload: *const u8,
    bytes: usize,
) -> u64 {
    // SAFETY: as in `turn`.
    unsafe {
        let me = begin(cell);
        let message = archive::root::<A::Message>(payload, bytes);
        encode(state::<A>(cell).receive(&mut Context::new(core, me), message))
    }
}

/// Entry of a port.
///
/// # Safety
/// As [`turn`], with a payload that holds an archived `M`.
pub(crate) unsafe fn port<A: Port<M>, M: LocalMessage>(
    core: &mut Core,
    cell: NonNull<CellHead>,
    payload: *const u8,
    bytes: usize,
) -> u64 {
    // SAFETY: as in `turn`.
    unsafe {
        let me = begin(cell);
        let message = archive::root::<M>(payload, bytes);
        encode(<A as Port<M>>::receive(state::<A>(cell), &mut Context::new(core, me), message))
    }
}

/// Entry of an actor that has not started. Messages do not get here: they take the long way, which starts the actor
/// first.
///
/// # Safety
/// As [`turn`]; the payload is not looked at.
pub(crate) unsafe fn start<A: Actor>(
    core: &mut Core,
    cell: NonNull<CellHead>,
    _payload: *const u8,
    _bytes: usize,
) -> u64 {
    // SAFETY: as in `turn`.
    unsafe {
        let me = begin(cell);
        (*cell.as_ptr()).entry = (*cell.as_ptr()).behavior.entry;
        encode(state::<A>(cell).started(&mut Context::new(core, me)))
    }
}

/// Entry of a behaviour's enter function.
///
/// # Safety
/// As [`turn`]; the payload is not looked at.
pub(crate) unsafe fn enter<A, E>(
    core: &mut Core,
    cell: NonNull<CellHead>,
    _payload: *const u8,
    _bytes: usize,
) -> u64
where
    A: Actor,
    E: Fn(&mut A, &mut Context<'_, A>) + Copy + 'static,
{
    // SAFETY: as in `turn`.
    unsafe {
        let me = begin(cell);
        conjure::<E>()(state::<A>(cell), &mut Context::new(core, me));
    }
    SAME
}

/// Entry of the continuation of an ask: a null payload stands for an error, whose number is in `bytes`.
///
/// # Safety
/// As [`turn`], with a payload that holds an archived `R`.
pub(crate) unsafe fn answer<A, R, F>(
    core: &mut Core,
    cell: NonNull<CellHead>,
    payload: *const u8,
    bytes: usize,
) -> u64
where
    A: Actor,
    R: LocalMessage,
    F: Fn(&mut A, &mut Context<'_, A>, Result<&Archived<R>, AskError>) -> Next<A> + Copy + 'static,
{
    // SAFETY: as in `turn`.
    unsafe {
        let me = begin(cell);
        let answer = if payload.is_null() {
            Err(AskError::from_number(bytes))
        } else {
            Ok(archive::root::<R>(payload, bytes))
        };
        encode(conjure::<F>()(state::<A>(cell), &mut Context::new(core, me), answer))
    }
}

/// # Safety
/// `cell` is the live cell of an `A`.
pub(crate) unsafe fn signal<A: Actor>(
    core: &mut Core,
    cell: NonNull<CellHead>,
    signal: &Signal,
) -> u64 {
    // SAFETY: as in `turn`.
    unsafe {
        let me = begin(cell);
        encode(state::<A>(cell).signal(&mut Context::new(core, me), signal))
    }
}

/// # Safety
/// `cell` is the live cell of an `A`.
pub(crate) unsafe fn stopped<A: Actor>(core: &mut Core, cell: NonNull<CellHead>) {
    // SAFETY: as in `turn`.
    unsafe {
        let me = begin(cell);
        state::<A>(cell).stopped(&mut Context::new(core, me));
    }
}

/// # Safety
/// `cell` is the live cell of an `A` whose state was not dropped yet; it is not used again before it is rebuilt.
pub(crate) unsafe fn drop_state<A: Actor>(cell: NonNull<CellHead>) {
    // SAFETY: by the contract.
    unsafe { std::ptr::drop_in_place(&mut (*cell.cast::<Cell<A>>().as_ptr()).state) }
}

/// What is called with the answer of an ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Continuation {
    pub(super) entry: Entry,
    /// What it takes.
    pub answer: &'static MessageInfo,
}

impl Continuation {
    /// The handler `F` of the actor `A` for an answer `R`.
    #[inline]
    pub fn of<A, R, F>() -> Self
    where
        A: Actor,
        R: LocalMessage,
        F: Fn(&mut A, &mut Context<'_, A>, Result<&Archived<R>, AskError>) -> Next<A>
            + Copy
            + 'static,
    {
        Continuation { entry: answer::<A, R, F>, answer: MessageInfo::of::<R>() }
    }
}
