//! The schema fingerprint: 64 bits over everything two builds must agree on to read each other's archives.
//!
//! Pieces are chained: each is hashed with XXH3-64, the state so far as its seed. A piece is a whole name, a whole
//! type text or one number, so no two sequences of pieces run into each other. The result depends on nothing but the
//! pieces: not on the compiler, the machine or the order of compilation. It is computed by the compiler.

use xxhash_rust::const_xxh3::xxh3_64_with_seed;

/// What a piece is; hashed before it, so that a field and a variant of the same name differ.
#[derive(Clone, Copy)]
enum Piece {
    Type = 1,
    Variant = 2,
    Field = 3,
    Part = 4,
    Layout = 5,
}

/// A fingerprint under construction.
///
/// ```
/// use mainspring::message::{Fingerprint, Schema};
///
/// const PRICE: u64 = Fingerprint::of("Price")
///     .field("cents", "u64", <u64 as Schema>::FINGERPRINT)
///     .layout(8, 8)
///     .value();
/// const RENAMED: u64 = Fingerprint::of("Price")
///     .field("pence", "u64", <u64 as Schema>::FINGERPRINT)
///     .layout(8, 8)
///     .value();
/// assert_ne!(PRICE, RENAMED);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Starts with the name of a type.
    pub const fn of(name: &str) -> Self {
        Fingerprint(0).number(Piece::Type as u64).text(name)
    }

    /// Adds a variant of an enum: its name, and the text of its explicit discriminant or nothing.
    pub const fn variant(self, name: &str, discriminant: &str) -> Self {
        self.number(Piece::Variant as u64).text(name).text(discriminant)
    }

    /// Adds a field: its name or number, its type as written, and that type's fingerprint (0 where the type refers
    /// back to the one being described).
    pub const fn field(self, name: &str, type_text: &str, fingerprint: u64) -> Self {
        self.number(Piece::Field as u64).text(name).text(type_text).number(fingerprint)
    }

    /// Adds the fingerprint of a type parameter, or a number such as an array's length.
    pub const fn part(self, value: u64) -> Self {
        self.number(Piece::Part as u64).number(value)
    }

    /// Adds the size and the alignment of the archived type, in bytes.
    pub const fn layout(self, size_bytes: usize, align_bytes: usize) -> Self {
        self.number(Piece::Layout as u64).number(size_bytes as u64).number(align_bytes as u64)
    }

    /// The fingerprint.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    const fn text(self, text: &str) -> Self {
        Fingerprint(xxh3_64_with_seed(text.as_bytes(), self.0))
    }

    const fn number(self, number: u64) -> Self {
        Fingerprint(xxh3_64_with_seed(&number.to_le_bytes(), self.0))
    }
}
