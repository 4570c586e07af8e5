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
                let solved = self.bad.remove(&name).then_some(ObjectEvent::Resolved(Place::Object(object)));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::api::core::v1::Service;
    use serde_json::{Value, json};

    use super::*;
    use crate::objects::Problems;

    /// What a listener knows of Services, by name with their ClusterIP, and the feed it listens to.
    struct Listener {
        feed: Feed,
        services: BTreeMap<String, String>,
        problems: Problems,
        deletions: usize,
    }

    impl Listener {
        fn new() -> Self {
            Self {
                feed: Feed::new(Kind::Service),
                services: BTreeMap::new(),
                problems: Problems::default(),
                deletions: 0,
            }
        }

        fn hear(&mut self, event: Event<Received<Service>>) {
            for event in self.feed.take(event) {
                self.problems.record(&event);
                match event {
                    ObjectEvent::Change(Change::Apply(Object::Service(service))) => {
                        self.services.insert(service.id.name, service.cluster_ips[0].to_string());
                    }
                    ObjectEvent::Change(Change::Delete(object)) => {
                        assert!(self.services.remove(&object.name).is_some(), "{object} was not there");
                        self.deletions += 1;
                    }
                    ObjectEvent::Problem(_) | ObjectEvent::Resolved(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }

        /// A whole list.
        fn list(&mut self, objects: &[Value]) {
            self.hear(Event::Init);
            for object in objects {
                self.hear(Event::InitApply(received(object)));
            }
            self.hear(Event::InitDone);
        }

        fn has(&self, expected: &[(&str, &str)]) -> bool {
            self.services.iter().map(|(name, ip)| (name.as_str(), ip.as_str())).eq(expected.iter().copied())
        }

        fn problems(&self) -> Vec<String> {
            self.problems.iter().map(|(_, error)| error.to_string()).collect()
        }
    }

    fn received(object: &Value) -> Received<Service> {
        serde_json::from_value(object.clone()).unwrap()
    }

    fn service(name: &str, ip: &str) -> Value {
        json!({
            "metadata": { "namespace": "default", "name": name, "resourceVersion": "7" },
            "spec": { "clusterIP": ip, "ports": [{ "port": 80 }] },
        })
    }

    #[test]
    fn a_list_after_the_first_tells_what_changed_and_deletes_only_what_is_not_in_it_and_only_at_its_end() {
        let mut listener = Listener::new();
        listener.list(&[service("a", "10.96.0.1"), service("b", "10.96.0.2"), service("c", "10.96.0.3")]);
        listener.hear(Event::Delete(received(&service("c", "10.96.0.3"))));
        listener.hear(Event::Apply(received(&service("d", "10.96.0.4"))));
        listener.hear(Event::Init);
        listener.hear(Event::InitApply(received(&service("b", "10.96.0.22"))));
        let meanwhile = [("a", "10.96.0.1"), ("b", "10.96.0.22"), ("d", "10.96.0.4")];
        assert!(listener.has(&meanwhile), "{:?}", listener.services);
        listener.hear(Event::InitApply(received(&service("d", "10.96.0.4"))));
        listener.hear(Event::InitDone);
        assert!(listener.has(&[("b", "10.96.0.22"), ("d", "10.96.0.4")]), "{:?}", listener.services);
        assert_eq!(listener.deletions, 2);
    }

    #[test]
    fn a_list_that_breaks_off_deletes_nothing_and_the_next_one_is_whole_by_itself() {
        let mut listener = Listener::new();
        let all = [service("a", "10.96.0.1"), service("b", "10.96.0.2")];
        listener.list(&all);
        listener.hear(Event::Init);
        listener.hear(Event::InitApply(received(&all[0])));
        listener.list(&all[1..]);
        assert!(
            listener.has(&[("b", "10.96.0.2")]),
            "what only the broken list had doesn't count: {:?}",
            listener.services
        );
        assert_eq!(listener.deletions, 1);
    }

    #[test]
    fn a_bad_object_costs_no_other_and_its_last_good_state_stays_until_it_is_good_or_gone() {
        let mut listener = Listener::new();
        let bad = |name| service(name, "10.96.0.300");
        listener.list(&[bad("a"), service("b", "10.96.0.2"), service("c", "10.96.0.3")]);
        assert!(listener.has(&[("b", "10.96.0.2"), ("c", "10.96.0.3")]));
        listener.hear(Event::Apply(received(&bad("b"))));
        assert!(listener.has(&[("b", "10.96.0.2"), ("c", "10.96.0.3")]));
        let of = |name: &str| {
            format!(
                "Service default/{name}: spec.clusterIP: \"10.96.0.300\" is not an IP address; its last good state stays in \
                 force"
            )
        };
        assert_eq!(listener.problems(), [of("a"), of("b")]);
        listener.list(&[service("a", "10.96.0.1"), bad("b"), service("c", "10.96.0.3")]);
        assert!(listener.has(&[("a", "10.96.0.1"), ("b", "10.96.0.2"), ("c", "10.96.0.3")]), "a list keeps it too");
        assert_eq!(listener.problems(), [of("b")]);
        listener.hear(Event::Delete(received(&bad("b"))));
        assert!(listener.has(&[("a", "10.96.0.1"), ("c", "10.96.0.3")]));
        assert_eq!(listener.problems(), [""; 0]);
    }

    #[test]
    fn a_bad_object_that_was_never_good_is_forgotten_with_the_list_that_lacks_it() {
        let mut feed = Feed::new(Kind::Service);
        feed.take(Event::InitApply(received(&service("a", "nonsense"))));
        feed.take::<Service>(Event::Init);
        let events = feed.take::<Service>(Event::InitDone);
        assert!(
            matches!(&events[..], [ObjectEvent::Resolved(_), ObjectEvent::Change(Change::Delete(_))]),
            "{events:?}"
        );
    }

    #[test]
    fn a_field_of_the_wrong_type_costs_its_object_and_a_nameless_one_cannot_be_told_apart() {
        let mut listener = Listener::new();
        let mut odd = service("a", "10.96.0.1");
        odd["spec"]["ports"] = json!("http");
        listener.list(&[odd, service("b", "10.96.0.2")]);
        assert!(listener.has(&[("b", "10.96.0.2")]));
        assert!(listener.problems()[0].starts_with("Service default/a: spec.ports: "), "{:?}", listener.problems());
        let error = serde_json::from_value::<Received<Service>>(json!({ "metadata": {} })).unwrap_err();
        assert!(error.to_string().contains("metadata.name"), "{error}");
    }
}
