//! Little-endian fields of a fixed layout. Offsets are constants of the format; a slice that is too short reads as
//! zero and takes no writes, so the callers check their lengths first and no offset can panic.

use mainspring::Address;
use mainspring::frame::{FRAME_ALIGN, ForeignPrefix, HEADER_BYTES, Header};

/// The field at `offset`.
#[inline]
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, offset))
}

/// The field at `offset`.
#[inline]
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

/// The field at `offset`.
#[inline]
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, offset))
}

/// The bytes at `offset`.
#[inline]
pub(crate) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

/// The address at `offset`: its two words.
pub(crate) fn address_at(bytes: &[u8], offset: usize) -> Address {
    Address::from_words(u64_at(bytes, offset), u64_at(bytes, offset + 8))
}

/// The frame header at `offset`.
#[inline]
pub(crate) fn header_at(bytes: &[u8], offset: usize) -> Header {
    Header { word0: u64_at(bytes, offset), word1: u64_at(bytes, offset + 8) }
}

/// The prefix at `offset`.
#[inline]
pub(crate) fn prefix_at(bytes: &[u8], offset: usize) -> ForeignPrefix {
    ForeignPrefix {
        fingerprint: u64_at(bytes, offset),
        core: u16_at(bytes, offset + 8),
        sender: u16_at(bytes, offset + 10),
        word: u32_at(bytes, offset + 12),
    }
}

/// Writes a field at `offset`.
pub(crate) fn put(bytes: &mut [u8], offset: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(offset..offset + field.len()) {
        place.copy_from_slice(field);
    }
}

/// Writes an address at `offset`.
pub(crate) fn put_address(bytes: &mut [u8], offset: usize, address: Address) {
    let (to, me) = address.words();
    put(bytes, offset, &to.to_le_bytes());
    put(bytes, offset + 8, &me.to_le_bytes());
}

/// A header as it stands on the wire.
pub(crate) fn header_bytes(header: Header) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    put(&mut bytes, 0, &header.word0.to_le_bytes());
    put(&mut bytes, 8, &header.word1.to_le_bytes());
    bytes
}

/// Appends zeroes up to a multiple of [`FRAME_ALIGN`], counted from `start`.
pub(crate) fn pad(out: &mut Vec<u8>, start: usize) {
    let padded = (out.len() - start).next_multiple_of(FRAME_ALIGN);
    out.resize(start + padded, 0);
}

/// Whether every byte is zero.
#[inline]
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
