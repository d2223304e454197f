//! Which namespaces are served: all by one watch of each kind, or some by one watch for each of them, so that no right
//! reaches further than what is served.

use kube::Resource;
use kube::runtime::reflector::store::{Writer, WriterDropped};
use kube::runtime::reflector::{ObjectRef, Store};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every namespace.
    Everywhere,
    /// These.
    Namespaces(BTreeSet<String>),
}

/// What one watch sees: a namespace, or without one everything.
pub(crate) type Part = Option<String>;

impl Scope {
    /// The watches of a kind with namespaces.
    pub(crate) fn parts(&self) -> Vec<Part> {
        match self {
            Self::Everywhere => vec![None],
            Self::Namespaces(names) => names.iter().cloned().map(Some).collect(),
        }
    }

    /// The watches of a kind with namespaces that is also looked at in this one.
    pub(crate) fn parts_with(&self, home: &str) -> Vec<Part> {
        let mut parts = self.parts();
        if !parts.iter().any(|part| part.as_deref().is_none_or(|name| name == home)) {
            parts.push(Some(home.to_owned()));
        }
        parts
    }
}

/// What the watches of one kind have brought.
pub struct Shelf<K: Resource<DynamicType = ()> + Clone + 'static> {
    parts: HashMap<Part, Store<K>>,
}

/// The writing end of each part.
pub(crate) type Pens<K> = Vec<(Part, Writer<K>)>;

/// An empty shelf and its writing ends.
pub(crate) fn shelf<K>(parts: Vec<Part>) -> (Shelf<K>, Pens<K>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let pens: Pens<K> = parts.into_iter().map(|part| (part, Writer::default())).collect();
    let parts = pens.iter().map(|(part, writer)| (part.clone(), writer.as_reader())).collect();
    (Shelf { parts }, pens)
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Shelf<K> {
    /// The object of this name, if a watch has brought it.
    pub fn get(&self, key: &ObjectRef<K>) -> Option<Arc<K>> {
        self.parts.get(&None).or_else(|| self.parts.get(&key.namespace))?.get(key)
    }

    /// All objects.
    pub fn state(&self) -> Vec<Arc<K>> {
        self.parts.values().flat_map(Store::state).collect()
    }

    /// Resolves when the first full list of every part has arrived. Errors: a watch has ended.
    pub async fn wait_until_ready(&self) -> Result<(), WriterDropped> {
        for part in self.parts.values() {
            part.wait_until_ready().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywright_crds::{Certificate, CertificateSpec};
    use kube::runtime::watcher::Event;

    fn certificate(namespace: &str) -> Certificate {
        let mut made = Certificate::new("web", CertificateSpec::default());
        made.metadata.namespace = Some(namespace.into());
        made
    }

    #[test]
    fn a_list_of_one_namespace_leaves_what_another_brought() {
        let scope = Scope::Namespaces(["a".to_owned(), "b".to_owned()].into());
        let (shelf, pens) = shelf::<Certificate>(scope.parts());
        for (part, mut writer) in pens {
            for event in
                [Event::Init, Event::InitApply(certificate(part.as_deref().unwrap())), Event::InitDone]
            {
                writer.apply_watcher_event(&event);
            }
        }
        assert_eq!(shelf.state().len(), 2);
        let found = |namespace| shelf.get(&ObjectRef::new("web").within(namespace)).is_some();
        assert_eq!(["a", "b", "c"].map(found), [true, true, false]);
    }
}
