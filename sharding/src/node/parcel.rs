//! A message for an entity that waits somewhere, with the entity's id.

use mainspring::message::Enclosed;

use crate::handoff::Payload;

/// See the module's header.
pub(crate) struct Parcel<M> {
    /// The bytes of the id.
    pub id: Box<[u8]>,
    pub message: Enclosed<M>,
}

impl<M> Clone for Parcel<M> {
    fn clone(&self) -> Self {
        Parcel { id: self.id.clone(), message: self.message.clone() }
    }
}

impl<M> Payload for Parcel<M> {
    fn len_bytes(&self) -> usize {
        self.id.len() + self.message.view().bytes().len()
    }
}
