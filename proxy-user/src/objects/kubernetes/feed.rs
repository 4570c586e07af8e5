//! From what a watch on one kind says to events. Pure.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use kube::runtime::watcher::Event;

use super::kinds::Followed;
use super::received::Received;
use crate::model::{Change, Kind, Object, ObjectRef};
use crate::objects::{FieldError, ObjectError, ObjectEvent, Place, Problem};

/// Namespace and name of an object.
type Name = (String, String);

/// What has been told of the objects of one kind.
#[derive(Debug)]
pub(super) struct Feed {
    kind: Kind,
    /// Those that there are, as last told, also those that can't be used.
    known: HashSet<Name>,
    /// Those of them that can't be used.
    bad: BTreeSet<Name>,
    /// Those of a list that has begun and has not ended.
    listed: Option<HashSet<Name>>,
}

impl Feed {
    /// Nothing told yet.
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, known: HashSet::new(), bad: BTreeSet::new(), listed: None }
    }

    /// Takes in what the watch says; returns what that means.
    ///
    /// A list that breaks off changes nothing but what it has told. Whatever was known before a list and isn't in it is
    /// gone, which is known at its end and not before.
    pub(super) fn take<K: Followed>(&mut self, event: Event<Received<K>>) -> Vec<ObjectEvent> {
        match event {
            Event::Init => {
                self.listed = Some(HashSet::new());
                Vec::new()
            }
            Event::InitApply(received) => {
                let (object, content) = received.into_parts();
                if let Some(listed) = &mut self.listed {
                    listed.insert((object.namespace.clone(), object.name.clone()));
                }
                self.apply(object, content)
            }
            Event::InitDone => self.end_list(),
            Event::Apply(received) => {
                let (object, content) = received.into_parts();
                self.apply(object, content)
            }
            Event::Delete(received) => {
                let (object, _) = received.into_parts();
                self.delete((object.namespace, object.name))
            }
        }
    }

    fn apply(&mut self, object: ObjectRef, content: Result<Object, Arc<FieldError>>) -> Vec<ObjectEvent> {
        let name = (object.namespace.clone(), object.name.clone());
        let event = match content {
            Ok(content) => {
                let solved = self.bad.remove(&name).then(|| ObjectEvent::Resolved(Place::Object(object)));
                self.known.insert(name);
                return solved.into_iter().chain([ObjectEvent::Change(Change::Apply(content))]).collect();
            }
            Err(source) => {
                self.bad.insert(name.clone());
                let error = Arc::new(ObjectError::Object { object: object.clone(), source });
                ObjectEvent::Problem(Problem { place: Place::Object(object), error })
            }
        };
        self.known.insert(name);
        vec![event]
    }

    fn end_list(&mut self) -> Vec<ObjectEvent> {
        let Some(listed) = self.listed.take() else { return Vec::new() };
        let gone: Vec<Name> = self.known.difference(&listed).cloned().collect();
        let events = gone.into_iter().flat_map(|name| self.delete(name)).collect();
        self.known = listed;
        events
    }

    fn delete(&mut self, name: Name) -> Vec<ObjectEvent> {
        self.known.remove(&name);
        let is_solved = self.bad.remove(&name);
        let (namespace, name) = name;
        let object = ObjectRef { kind: self.kind, namespace, name };
        let solved = is_solved.then(|| ObjectEvent::Resolved(Place::Object(object.clone())));
        solved.into_iter().chain([ObjectEvent::Change(Change::Delete(object))]).collect()
    }
}
