//! What is to be looked at, by kind. Closed until this process leads: a process that stands by collects nothing.

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use std::sync::Mutex;

/// References to objects of one kind; the controller's scheduler makes repeats one.
pub struct Queue<K: Resource>(Mutex<Option<UnboundedSender<ObjectRef<K>>>>);

impl<K: Resource> Default for Queue<K> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<K: Resource> Queue<K> {
    /// Asks for a look; does nothing while the queue is closed.
    pub fn push(&self, object: ObjectRef<K>) {
        let sender = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(sender) = sender.as_ref() {
            // The other end is only gone when the process ends.
            let _ = sender.unbounded_send(object);
        }
    }

    /// Opens the queue; what is pushed from now on arrives here.
    pub fn open(&self) -> UnboundedReceiver<ObjectRef<K>> {
        let (sender, receiver) = unbounded();
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(sender);
        receiver
    }
}
