//! An index of objects of one kind, kept by a watch: reviews ask it instead of listing the cluster.

use futures::{StreamExt, pin_mut};
use kube::api::{Api, ApiResource};
use kube::core::Object;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};

/// Namespace and name.
pub(super) type Key = (String, String);

/// What is kept of the objects of a kind. Spec and status are what is read of them.
pub(super) trait Index: Debug + Default + Send + Sync + 'static {
    /// The kind.
    type Kind: Resource<DynamicType = ()>;
    /// The part of its spec that is looked at.
    type Spec: Clone + Debug + DeserializeOwned + Send + Sync + 'static;
    /// The part of its status that is looked at.
    type Status: Clone + Debug + Default + DeserializeOwned + Send + Sync + 'static;

    /// An object came, or is another than before.
    fn put(&mut self, object: &Object<Self::Spec, Self::Status>);
    /// An object went.
    fn remove(&mut self, key: &Key);
}

/// The index; none until the first list is complete.
#[derive(Debug)]
pub(super) struct Followed<I>(Arc<RwLock<Option<I>>>);

impl<I> Default for Followed<I> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<I> Clone for Followed<I> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I: Index> Followed<I> {
    /// What the index says; none while nothing is known.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&I) -> T) -> Option<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(question)
    }

    /// Follows the cluster until the process ends.
    pub(super) async fn follow(self, client: Client) {
        let api = Api::<Object<I::Spec, I::Status>>::all_with(client, &ApiResource::erase::<I::Kind>(&()));
        let kind = I::Kind::kind(&());
        let events = watcher(api, Config::default()).default_backoff();
        pin_mut!(events);
        let mut filling = I::default();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => filling = I::default(),
                Ok(Event::InitApply(object)) => filling.put(&object),
                Ok(Event::InitDone) => self.replace(std::mem::take(&mut filling)),
                Ok(Event::Apply(object)) => self.change(|index| index.put(&object)),
                Ok(Event::Delete(object)) => self.change(|index| index.remove(&key(&object))),
                Err(error) => tracing::warn!(%error, %kind, "a watch was broken; it goes on"),
            }
        }
    }

    pub(super) fn replace(&self, index: I) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(index);
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut I)) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).as_mut().map(change);
    }
}

/// Of an object.
pub(super) fn key(object: &impl ResourceExt) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}
