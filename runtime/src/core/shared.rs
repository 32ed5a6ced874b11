//! What extensions have left on a core, found by its type: one look, however many there are.
//!
//! An open-addressed table (linear probing) that is at most half full, so that a look ends soon.

use std::any::{Any, TypeId};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

const FIRST_PLACES: usize = 16;

/// One thing of a type.
pub(crate) struct Shared {
    /// A power of two of them.
    places: Vec<Option<(TypeId, Rc<dyn Any>)>>,
    filled: usize,
}

impl Shared {
    pub fn new() -> Self {
        Shared { places: vec![None; FIRST_PLACES], filled: 0 }
    }

    /// The one of this type.
    #[inline]
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.find(TypeId::of::<T>())?.downcast_ref()
    }

    /// The one of this type, to be kept.
    pub fn get_owned<T: 'static>(&self) -> Option<Rc<T>> {
        Rc::clone(self.find(TypeId::of::<T>())?).downcast().ok()
    }

    /// Puts one in, in place of an earlier one of its type.
    pub fn put<T: 'static>(&mut self, value: Rc<T>) {
        if (self.filled + 1) * 2 > self.places.len() {
            let places = vec![None; self.places.len() * 2];
            for (of, value) in std::mem::replace(&mut self.places, places).into_iter().flatten() {
                let place = self.place_of(of);
                self.places[place] = Some((of, value));
            }
        }
        let of = TypeId::of::<T>();
        let place = self.place_of(of);
        self.filled += usize::from(self.places[place].is_none());
        self.places[place] = Some((of, value));
    }

    #[inline]
    fn find(&self, of: TypeId) -> Option<&Rc<dyn Any>> {
        let mask = self.places.len() - 1;
        let mut place = home_of(of) & mask;
        while let Some((there, value)) = &self.places[place] {
            if *there == of {
                return Some(value);
            }
            place = (place + 1) & mask;
        }
        None
    }

    /// Where this type is, or is to be put.
    fn place_of(&self, of: TypeId) -> usize {
        let mask = self.places.len() - 1;
        let mut place = home_of(of) & mask;
        while self.places[place].as_ref().is_some_and(|(there, _)| *there != of) {
            place = (place + 1) & mask;
        }
        place
    }
}

/// A type's name is a hash already: some of its bits.
#[inline]
fn home_of(of: TypeId) -> usize {
    let mut bits = Bits(0);
    of.hash(&mut bits);
    bits.finish() as usize
}

/// Takes what it is given for its hash.
struct Bits(u64);

impl Hasher for Bits {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write_u64(&mut self, bits: u64) {
        self.0 ^= bits;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbered<const N: usize>(usize);

    #[test]
    fn what_was_left_is_found_by_its_type_however_much_there_is() {
        let mut shared = Shared::new();
        macro_rules! each {
            ($do:ident) => {
                $do!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29)
            };
        }
        macro_rules! put {
            ($($n:literal)*) => { $(
                assert!(shared.get::<Numbered<$n>>().is_none());
                shared.put(Rc::new(Numbered::<$n>(1)));
                shared.put(Rc::new(Numbered::<$n>($n)));
            )* };
        }
        macro_rules! find {
            ($($n:literal)*) => { $(
                assert_eq!(shared.get::<Numbered<$n>>().map(|it| it.0), Some($n));
                assert_eq!(shared.get_owned::<Numbered<$n>>().map(|it| it.0), Some($n));
            )* };
        }
        each!(put);
        each!(find);
        assert_eq!(shared.filled, 30, "a later one takes the place of an earlier one");
        assert!(shared.filled * 2 <= shared.places.len());
    }
}
