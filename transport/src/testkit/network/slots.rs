//! A table whose places are used again, each time under another generation.

/// See the module's header.
#[derive(Debug)]
pub(super) struct Slots<T> {
    entries: Vec<(u32, Option<T>)>,
    used: usize,
}

impl<T> Slots<T> {
    pub fn new() -> Slots<T> {
        Slots { entries: Vec::new(), used: 0 }
    }

    pub fn used(&self) -> usize {
        self.used
    }

    /// Where it is, and the generation of that place.
    pub fn insert(&mut self, value: T) -> (u32, u32) {
        let free = self.entries.iter().position(|(_, entry)| entry.is_none());
        let slot = free.unwrap_or_else(|| {
            self.entries.push((0, None));
            self.entries.len() - 1
        });
        let (generation, entry) = &mut self.entries[slot];
        *generation += 1;
        *entry = Some(value);
        self.used += 1;
        (slot as u32, *generation)
    }

    pub fn remove(&mut self, slot: u32) -> Option<T> {
        let removed = self.entries.get_mut(slot as usize)?.1.take();
        self.used -= usize::from(removed.is_some());
        removed
    }

    pub fn at(&mut self, slot: u32) -> Option<&mut T> {
        self.entries.get_mut(slot as usize)?.1.as_mut()
    }

    pub fn get(&self, slot: u32) -> Option<&T> {
        self.entries.get(slot as usize)?.1.as_ref()
    }

    pub fn generation(&self, slot: u32) -> u32 {
        self.entries.get(slot as usize).map_or(0, |(generation, _)| *generation)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let entries = self.entries.iter().zip(0..);
        entries.filter_map(|((_, entry), slot)| Some((slot, entry.as_ref()?)))
    }
}
