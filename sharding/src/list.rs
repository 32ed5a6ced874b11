//! Doubly linked lists through rows that stand elsewhere: eight bytes in a row for each list that it can be in.
//!
//! Every change is a few writes and allocates nothing. A list does not know whether a row is in it: who holds the rows
//! does, and takes a row out of a list before it goes into another one through the same links.

use crate::chunks::Chunks;

/// No row: the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// A row's neighbours in one list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    before: u32,
    after: u32,
}

impl Links {
    /// Of a row that is in no list.
    pub(crate) const LOOSE: Links = Links { before: NONE, after: NONE };
}

/// A row with links; `WHICH` tells apart those of a row that has several.
pub(crate) trait Linked<const WHICH: usize> {
    /// The links of that list.
    fn links(&mut self) -> &mut Links;
    /// The same, to read.
    fn links_of(&self) -> &Links;
}

/// The ends of a list, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<const WHICH: usize> {
    first: u32,
    last: u32,
    len: u32,
}

impl<const WHICH: usize> List<WHICH> {
    /// An empty one.
    pub(crate) const EMPTY: Self = List { first: NONE, last: NONE, len: 0 };

    /// How many rows it has.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// The row at the front.
    #[inline]
    pub(crate) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// The row at the end.
    #[inline]
    pub(crate) fn last(&self) -> Option<u32> {
        (self.last != NONE).then_some(self.last)
    }

    /// The row after this one, which is in the list.
    pub(crate) fn after<R: Linked<WHICH>>(&self, rows: &Chunks<R>, number: u32) -> Option<u32> {
        let after = rows[number].links_of().after;
        (after != NONE).then_some(after)
    }

    /// Puts a row at the end that is in no list through these links.
    pub(crate) fn push_back<R: Linked<WHICH>>(&mut self, rows: &mut Chunks<R>, number: u32) {
        *rows[number].links() = Links { before: self.last, after: NONE };
        match self.last {
            NONE => self.first = number,
            last => rows[last].links().after = number,
        }
        self.last = number;
        self.len += 1;
    }

    /// Takes a row out that is in this list.
    pub(crate) fn remove<R: Linked<WHICH>>(&mut self, rows: &mut Chunks<R>, number: u32) {
        let Links { before, after } = std::mem::replace(rows[number].links(), Links::LOOSE);
        match before {
            NONE => self.first = after,
            before => rows[before].links().after = after,
        }
        match after {
            NONE => self.last = before,
            after => rows[after].links().before = before,
        }
        self.len -= 1;
    }

    /// Makes a row of this list its last.
    #[inline]
    pub(crate) fn move_to_back<R: Linked<WHICH>>(&mut self, rows: &mut Chunks<R>, number: u32) {
        if self.last != number {
            self.remove(rows, number);
            self.push_back(rows, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    impl Linked<0> for Links {
        fn links(&mut self) -> &mut Links {
            self
        }

        fn links_of(&self) -> &Links {
            self
        }
    }

    fn walk(list: &List<0>, rows: &Chunks<Links>) -> Vec<u32> {
        let next = |number: &u32| list.after(rows, *number);
        std::iter::successors(list.first(), next).collect()
    }

    #[test]
    fn a_list_is_the_same_as_a_queue_after_every_change() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut rows = Chunks::new();
        let mut list = List::EMPTY;
        let mut model: VecDeque<u32> = VecDeque::new();
        (0..40).for_each(|number| assert_eq!(rows.push(Links::LOOSE), number));
        for _ in 0..4_000 {
            let number = random.u32(0..40);
            match model.iter().position(|n| *n == number) {
                None => {
                    list.push_back(&mut rows, number);
                    model.push_back(number);
                }
                Some(place) => {
                    model.remove(place);
                    if random.bool() {
                        list.move_to_back(&mut rows, number);
                        model.push_back(number);
                    } else {
                        list.remove(&mut rows, number);
                    }
                }
            }
            assert_eq!(walk(&list, &rows), Vec::from_iter(model.iter().copied()));
            assert_eq!(list.last(), model.back().copied());
            assert_eq!(list.len() as usize, model.len());
        }
    }
}
