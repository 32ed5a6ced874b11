//! Cells: where the actors of one core live.
//!
//! A cell is a 48-byte head followed by the actor's state. Cells come from an arena with one free list per size
//! class; a freed cell stays a cell, so a stale look at it is harmless. The slot table maps a slot number to its
//! cell in one load. It reserves address space for its limit at the start, so it never moves and never doubles.
//!
//! Invariants:
//! - every entry of the slot table points at a cell head: a live one, or the tombstone that no reference matches;
//! - `head.me` is the word that a frame for this actor carries, with [`UNUSUAL`] set while the actor may not be
//!   dispatched to directly;
//! - a slot's generation rises each time it is freed; a slot whose generations are used up is retired, so a stale
//!   reference never reaches a later actor;
//! - the state of a cell is touched only by a turn of its own actor ([`super::dispatch`]) or when no turn runs.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::Core;
use super::cold::Cold;
use crate::actor::Actor;
use crate::frame::foreign::MessageInfo;

/// Set in `me` while frames must take the long way: not started, suspended, restarting, stopping, or with a receive
/// timeout.
pub(crate) const UNUSUAL: u64 = 1 << 63;

/// No actor: the parent of top-level actors, the end of a list of siblings.
pub(crate) const NO_SLOT: u32 = u32::MAX;

const GENERATION_MAX: u32 = (1 << 31) - 1;
const BLOCK_BYTES: usize = 64 * 1024;
const CLASS_STEP_BYTES: usize = 16;
const LARGEST_CLASS_BYTES: usize = 4096;
const CLASSES: usize = LARGEST_CLASS_BYTES / CLASS_STEP_BYTES + 1;

/// Runs one turn: core, cell, payload address, payload bytes. The result is 0 for "same behaviour, go on".
pub(crate) type Entry = unsafe fn(&mut Core, NonNull<CellHead>, *const u8, usize) -> u64;

/// What is known of an actor's type, once per type.
pub(crate) struct ActorInfo {
    pub name: fn() -> &'static str,
    pub type_id: std::any::TypeId,
    pub cell_bytes: usize,
    pub initial: &'static BehaviorInfo,
    pub drop_state: unsafe fn(NonNull<CellHead>),
    pub start: Entry,
    pub signal: unsafe fn(&mut Core, NonNull<CellHead>, &crate::actor::Signal) -> u64,
    pub stopped: unsafe fn(&mut Core, NonNull<CellHead>),
    pub tracks_children: bool,
    /// What its own address takes.
    pub message: &'static MessageInfo,
}

/// What is known of a behaviour, once per handler function.
pub(crate) struct BehaviorInfo {
    pub entry: Entry,
    pub name: fn() -> &'static str,
    pub enter: Option<Entry>,
}

/// The hot part of an actor: what a dispatch reads and writes.
#[repr(C, align(16))]
pub(crate) struct CellHead {
    /// Slot and generation, as in the second word of a frame for this actor; [`UNUSUAL`] on top.
    pub me: u64,
    pub entry: Entry,
    pub behavior: &'static BehaviorInfo,
    pub actor: &'static ActorInfo,
    pub turns: u64,
    pub cold: Option<Box<Cold>>,
}

const _: () = assert!(size_of::<CellHead>() == 48);

#[repr(C)]
pub(crate) struct Cell<A> {
    pub head: CellHead,
    pub state: A,
}

/// Links between parent and children, beside the slot table because no dispatch needs them.
#[derive(Clone, Copy)]
struct Family {
    parent: u32,
    first_child: u32,
    next: u32,
    previous: u32,
}

const ORPHAN: Family =
    Family { parent: NO_SLOT, first_child: NO_SLOT, next: NO_SLOT, previous: NO_SLOT };

/// Why no cell was made. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ActorsFull {
    pub limit: usize,
}

/// The slot table, the family links and the arena.
pub(crate) struct Slots {
    table: Vec<NonNull<CellHead>>,
    family: Vec<Family>,
    free: Vec<(u32, u32)>,
    arena: Arena,
    tombstone: Box<CellHead>,
    limit: usize,
    live: usize,
    retired: usize,
}

impl Slots {
    pub fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, NO_SLOT as usize - 1);
        let tombstone = Box::new(CellHead {
            // No reference has this word: generations stay below the flag.
            me: UNUSUAL,
            entry: never,
            behavior: &NO_BEHAVIOR,
            actor: &NO_ACTOR,
            turns: 0,
            cold: None,
        });
        Slots {
            // Reserved, not touched: the kernel gives pages as slots are used.
            table: Vec::with_capacity(limit),
            family: Vec::with_capacity(limit),
            free: Vec::new(),
            arena: Arena::new(),
            tombstone,
            limit,
            live: 0,
            retired: 0,
        }
    }

    pub fn live(&self) -> usize {
        self.live
    }

    /// The cell behind a slot number, or the tombstone.
    #[inline(always)]
    pub fn cell(&self, slot: u32) -> NonNull<CellHead> {
        match self.table.get(slot as usize) {
            Some(cell) => *cell,
            None => NonNull::from(&*self.tombstone),
        }
    }

    /// The cell of a living actor, whatever it is doing; `None` when the reference is stale.
    #[inline]
    pub fn find(&self, me: u64) -> Option<NonNull<CellHead>> {
        let cell = self.cell(me as u32);
        // SAFETY: every table entry and the tombstone are valid heads for as long as `self` lives.
        let found = unsafe { (*cell.as_ptr()).me };
        (found & !UNUSUAL == me && !self.is_tombstone(cell)).then_some(cell)
    }

    /// Whether the actor is alive and takes frames the short way.
    #[inline]
    pub fn is_plain(&self, me: u64) -> bool {
        // SAFETY: every table entry and the tombstone are valid heads.
        unsafe { (*self.cell(me as u32).as_ptr()).me == me }
    }

    /// Whether the actor is alive and has neither a rarely used part nor children: nothing but its cell is to be freed.
    pub fn is_bare(&self, me: u64) -> bool {
        let Some(cell) = self.find(me) else { return false };
        // SAFETY: `find` gave a live head.
        unsafe { (*cell.as_ptr()).cold.is_none() && !self.has_children(me as u32) }
    }

    #[inline]
    fn is_tombstone(&self, cell: NonNull<CellHead>) -> bool {
        std::ptr::eq(cell.as_ptr(), &*self.tombstone)
    }

    /// What is known of a living actor's type.
    pub fn actor_info(&self, me: u64) -> Option<&'static ActorInfo> {
        // SAFETY: `find` gave a live head.
        self.find(me).map(|cell| unsafe { (*cell.as_ptr()).actor })
    }

    /// The actor's word when `slot` is alive.
    pub fn me(&self, slot: u32) -> Option<u64> {
        let cell = self.cell(slot);
        // SAFETY: every table entry and the tombstone are valid heads.
        (!self.is_tombstone(cell)).then(|| unsafe { (*cell.as_ptr()).me } & !UNUSUAL)
    }

    /// Places an actor. Its `me` is returned; it is the last child of `parent`.
    #[inline]
    pub fn insert<A: Actor>(&mut self, state: A, parent: u32) -> Result<u64, ActorsFull> {
        const {
            assert!(
                align_of::<A>() <= 16,
                "an actor's state is aligned to at most 16 bytes: box the rest"
            )
        };
        let (slot, generation) = match self.free.pop() {
            Some(place) => place,
            None if self.table.len() < self.limit => {
                self.table.push(NonNull::from(&*self.tombstone));
                self.family.push(ORPHAN);
                (self.table.len() as u32 - 1, 1)
            }
            None => return Err(ActorsFull { limit: self.limit }),
        };
        let me = slot as u64 | (generation as u64) << 32;
        let info = crate::actor::info::<A>();
        let cell = self.arena.take(info.cell_bytes).cast::<Cell<A>>();
        let head = CellHead {
            // Until it has started, its frames take the long way.
            me: me | UNUSUAL,
            entry: info.start,
            behavior: info.initial,
            actor: info,
            turns: 0,
            cold: None,
        };
        // SAFETY: the arena gave memory of `cell_bytes`, aligned to 16, that nothing else uses.
        unsafe { cell.as_ptr().write(Cell { head, state }) };
        self.table[slot as usize] = cell.cast();
        self.live += 1;
        self.adopt(slot, parent);
        Ok(me)
    }

    fn adopt(&mut self, slot: u32, parent: u32) {
        let mut links = Family { parent, ..ORPHAN };
        if parent != NO_SLOT {
            let first = self.family[parent as usize].first_child;
            links.next = first;
            if first != NO_SLOT {
                self.family[first as usize].previous = slot;
            }
            self.family[parent as usize].first_child = slot;
        }
        self.family[slot as usize] = links;
    }

    /// Takes an actor out. Its state must have been dropped already ([`Slots::drop_state`]); its children must be
    /// gone.
    pub fn remove(&mut self, me: u64) {
        let Some(cell) = self.find(me) else { return };
        let slot = me as u32;
        let links = self.family[slot as usize];
        if links.previous != NO_SLOT {
            self.family[links.previous as usize].next = links.next;
        } else if links.parent != NO_SLOT {
            self.family[links.parent as usize].first_child = links.next;
        }
        if links.next != NO_SLOT {
            self.family[links.next as usize].previous = links.previous;
        }
        self.family[slot as usize] = ORPHAN;
        self.table[slot as usize] = NonNull::from(&*self.tombstone);
        self.live -= 1;
        // SAFETY: the cell was live, so its head is initialised; nothing refers to it any more.
        let bytes = unsafe {
            (*cell.as_ptr()).cold = None;
            (*cell.as_ptr()).actor.cell_bytes
        };
        self.arena.give_back(cell.cast(), bytes);
        let generation = (me >> 32) as u32;
        if generation >= GENERATION_MAX {
            self.retired += 1;
        } else {
            self.free.push((slot, generation + 1));
        }
    }

    /// Drops the state in place. The cell stays; it must not be dispatched to until it is rebuilt.
    pub fn drop_state(&mut self, cell: NonNull<CellHead>) {
        // SAFETY: callers in `core` drop a state once, between turns, and mark the cell as vacant in its cold part.
        unsafe { ((*cell.as_ptr()).actor.drop_state)(cell) }
    }

    pub fn parent(&self, me: u64) -> Option<u64> {
        let parent = self.family.get(me as u32 as usize)?.parent;
        (parent != NO_SLOT).then(|| self.me(parent)).flatten()
    }

    pub fn has_children(&self, slot: u32) -> bool {
        self.family.get(slot as usize).is_some_and(|links| links.first_child != NO_SLOT)
    }

    /// The children of an actor, newest first.
    pub fn children(&self, slot: u32) -> Children<'_> {
        let first = self.family.get(slot as usize).map_or(NO_SLOT, |links| links.first_child);
        Children { slots: self, next: first }
    }

    /// Leaves an actor's children without a parent; they are returned.
    pub fn disown_children(&mut self, me: u64) -> Vec<u64> {
        if !self.has_children(me as u32) {
            return Vec::new();
        }
        let children: Vec<u64> = self.children(me as u32).collect();
        for child in &children {
            let first_child = self.family[*child as u32 as usize].first_child;
            self.family[*child as u32 as usize] = Family { first_child, ..ORPHAN };
        }
        self.family[me as u32 as usize].first_child = NO_SLOT;
        children
    }

    /// All living actors without a parent, in slot order.
    pub fn top_level(&self) -> Vec<u64> {
        (0..self.table.len() as u32)
            .filter(|slot| self.family[*slot as usize].parent == NO_SLOT)
            .filter_map(|slot| self.me(slot))
            .collect()
    }

    /// The rarely used part of a living actor, if it has one.
    pub fn cold(&self, me: u64) -> Option<&Cold> {
        let cell = self.find(me)?;
        // SAFETY: the head is live; `cold` is a box of its own, which only `&mut self` changes.
        unsafe { (*cell.as_ptr()).cold.as_deref() }
    }

    /// The rarely used part of a living actor, if it has one.
    pub fn cold_if_any(&mut self, me: u64) -> Option<&mut Cold> {
        let cell = self.find(me)?;
        // SAFETY: as in `cold`, and `&mut self` makes it unique.
        unsafe { (*cell.as_ptr()).cold.as_deref_mut() }
    }

    /// The rarely used part of a living actor, made if needed.
    pub fn cold_mut(&mut self, me: u64) -> Option<&mut Cold> {
        let cell = self.find(me)?;
        // SAFETY: as in `cold_if_any`.
        Some(unsafe { (*cell.as_ptr()).cold.get_or_insert_with(Default::default) })
    }

    /// Frames take the long way from now on if `unusual` says so of the actor's cold part; without one they do not.
    #[inline]
    pub fn refresh_unusual(&mut self, me: u64, unusual: impl FnOnce(&Cold) -> bool) {
        if let Some(cell) = self.find(me) {
            // SAFETY: the head is live and `&mut self` makes the look and the write unique.
            unsafe {
                let head = &mut *cell.as_ptr();
                let unusual = head.cold.as_deref().is_some_and(unusual);
                head.me = if unusual { me | UNUSUAL } else { me };
            }
        }
    }

    /// The cell of a living actor whose state is in place: what a turn may be run on.
    pub fn find_whole(&self, me: u64) -> Option<NonNull<CellHead>> {
        let vacant = self.cold(me).is_some_and(|cold| cold.vacant);
        if vacant { None } else { self.find(me) }
    }

    /// The type of a living actor.
    pub fn type_of(&self, me: u64) -> Option<std::any::TypeId> {
        // SAFETY: the head is live.
        self.find(me).map(|cell| unsafe { (*cell.as_ptr()).actor.type_id })
    }

    /// Whether a living actor is told of the end of its children.
    pub fn tracks_children(&self, me: u64) -> bool {
        // SAFETY: the head is live.
        self.find(me).is_some_and(|cell| unsafe { (*cell.as_ptr()).actor.tracks_children })
    }

    /// Name of the actor's type and of its behaviour.
    pub fn describe(&self, me: u64) -> (&'static str, &'static str) {
        match self.find(me) {
            // SAFETY: the head is live.
            Some(cell) => unsafe {
                (((*cell.as_ptr()).actor.name)(), ((*cell.as_ptr()).behavior.name)())
            },
            None => ("(gone)", "(gone)"),
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        for slot in 0..self.table.len() as u32 {
            let Some(me) = self.me(slot) else { continue };
            let vacant = self.cold(me).is_some_and(|cold| cold.vacant);
            let cell = self.table[slot as usize];
            if !vacant {
                // A panic in one state's drop must not keep the others from being dropped.
                let drop_state = std::panic::AssertUnwindSafe(|| self.drop_state(cell));
                let _ = std::panic::catch_unwind(drop_state);
            }
            // SAFETY: the head is live and is not looked at again.
            unsafe { (*cell.as_ptr()).cold = None };
            // SAFETY: as above.
            let bytes = unsafe { (*cell.as_ptr()).actor.cell_bytes };
            self.arena.give_back(cell.cast(), bytes);
        }
    }
}

/// Iterator over an actor's children.
pub(crate) struct Children<'a> {
    slots: &'a Slots,
    next: u32,
}

impl Iterator for Children<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let slot = self.next;
        if slot == NO_SLOT {
            return None;
        }
        self.next = self.slots.family[slot as usize].next;
        self.slots.me(slot)
    }
}

/// Memory for cells: blocks cut into pieces of one size class, and free lists.
struct Arena {
    free: Vec<Vec<NonNull<u8>>>,
    bump: Vec<(*mut u8, usize)>,
    blocks: Vec<NonNull<u8>>,
}

impl Arena {
    fn new() -> Self {
        Arena {
            free: (0..CLASSES).map(|_| Vec::new()).collect(),
            bump: vec![(std::ptr::null_mut(), 0); CLASSES],
            blocks: Vec::new(),
        }
    }

    #[inline]
    fn take(&mut self, bytes: usize) -> NonNull<u8> {
        if bytes > LARGEST_CLASS_BYTES {
            return allocate(bytes, 16);
        }
        let class = bytes.div_ceil(CLASS_STEP_BYTES);
        if let Some(piece) = self.free[class].pop() {
            return piece;
        }
        let piece_bytes = class * CLASS_STEP_BYTES;
        let (at, left) = self.bump[class];
        let (at, left) = if left < piece_bytes {
            let block = allocate(BLOCK_BYTES, 64);
            self.blocks.push(block);
            (block.as_ptr(), BLOCK_BYTES)
        } else {
            (at, left)
        };
        // SAFETY: at least `piece_bytes` are left in the block, so the address behind the piece is in bounds.
        self.bump[class] = (unsafe { at.add(piece_bytes) }, left - piece_bytes);
        // SAFETY: `at` lies inside a block, so it is not null.
        unsafe { NonNull::new_unchecked(at) }
    }

    fn give_back(&mut self, piece: NonNull<u8>, bytes: usize) {
        if bytes > LARGEST_CLASS_BYTES {
            // SAFETY: pieces above the largest class came from `allocate` with this size and alignment.
            unsafe { dealloc(piece.as_ptr(), Layout::from_size_align_unchecked(bytes, 16)) };
        } else {
            self.free[bytes.div_ceil(CLASS_STEP_BYTES)].push(piece);
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for block in self.blocks.drain(..) {
            // SAFETY: every block came from `allocate(BLOCK_BYTES, 64)`.
            unsafe { dealloc(block.as_ptr(), Layout::from_size_align_unchecked(BLOCK_BYTES, 64)) };
        }
    }
}

fn allocate(bytes: usize, align: usize) -> NonNull<u8> {
    let layout = Layout::from_size_align(bytes, align).expect("a cell's size fits an allocation");
    // SAFETY: the layout is not empty: a cell has a head, a block has bytes.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

unsafe fn never(_: &mut Core, _: NonNull<CellHead>, _: *const u8, _: usize) -> u64 {
    0
}

unsafe fn never_signal(_: &mut Core, _: NonNull<CellHead>, _: &crate::actor::Signal) -> u64 {
    0
}

unsafe fn never_state(_: NonNull<CellHead>) {}

unsafe fn never_stopped(_: &mut Core, _: NonNull<CellHead>) {}

static NO_BEHAVIOR: BehaviorInfo = BehaviorInfo { entry: never, name: || "(none)", enter: None };

static NO_ACTOR: ActorInfo = ActorInfo {
    name: || "(none)",
    type_id: std::any::TypeId::of::<()>(),
    cell_bytes: size_of::<CellHead>(),
    initial: &NO_BEHAVIOR,
    drop_state: never_state,
    start: never,
    signal: never_signal,
    stopped: never_stopped,
    tracks_children: false,
    message: MessageInfo::of::<()>(),
};

#[cfg(test)]
#[path = "cell_tests.rs"]
mod tests;
