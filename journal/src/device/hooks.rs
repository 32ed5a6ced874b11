//! What a test may do to a core's journal that no device can: refuse groups, and see states as they change.
//!
//! Nothing of it is there unless a testkit puts it there; a journal on real files has no way to it.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

/// Gets the entity's hash, its sequence number and its state: after each change, and after recovery.
pub(crate) type Watcher = Box<dyn FnMut(u64, u64, &dyn Any)>;

/// See the module's header.
#[derive(Default)]
pub(crate) struct Hooks {
    refusals: OnceCell<Rc<Cell<u32>>>,
    watcher: RefCell<Option<Watcher>>,
}

impl Hooks {
    /// So many of the next groups are refused; the number is shared with who sets it.
    pub fn set_refusals(&self, refusals: Rc<Cell<u32>>) {
        // Set once, where the journal is made; a second one would be of the same testkit.
        let _ = self.refusals.set(refusals);
    }

    /// Whether this group is refused.
    pub fn refuses(&self) -> bool {
        self.refusals.get().is_some_and(|refusals| {
            let left = refusals.get();
            refusals.set(left.saturating_sub(1));
            left > 0
        })
    }

    /// From now on `watcher` sees the states.
    pub fn watch(&self, watcher: Watcher) {
        *self.watcher.borrow_mut() = Some(watcher);
    }

    /// A state has changed, or was recovered.
    pub fn changed(&self, entity: u64, sequence: u64, state: &dyn Any) {
        if let Some(watcher) = &mut *self.watcher.borrow_mut() {
            watcher(entity, sequence, state);
        }
    }
}
