//! What a service is found by.

use std::fmt;
use std::marker::PhantomData;

use mainspring::message::Message;

use super::message::ServiceName;

/// The name of a service whose actors take messages `M`. Keys of one name and other messages are other keys.
pub struct ServiceKey<M> {
    name: String,
    message: PhantomData<fn(M)>,
}

impl<M: Message> ServiceKey<M> {
    /// The key of this name. One that is longer than
    /// [`NAME_LIMIT_BYTES`](super::NAME_LIMIT_BYTES) is refused where it is used.
    pub fn new(name: impl Into<String>) -> Self {
        ServiceKey { name: name.into(), message: PhantomData }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same without the type of message.
    pub fn service(&self) -> ServiceName {
        ServiceName { name: self.name.clone(), fingerprint: M::FINGERPRINT }
    }
}

impl<M> Clone for ServiceKey<M> {
    fn clone(&self) -> Self {
        ServiceKey { name: self.name.clone(), message: PhantomData }
    }
}

impl<M> fmt::Debug for ServiceKey<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServiceKey").field(&self.name).finish()
    }
}
