//! Clusters, policies, changes and connections at random: small, so that everything meets everything, and with what is
//! rare in real clusters made common. A seed gives the same case for ever.

mod address;
mod change;
mod connection;
mod defect;
mod label;
mod network_policy;
mod pod;

pub use self::defect::defective;
use fastrand::Rng;
use k8s_openapi::serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::case::{Case, Change, Connection, Object, Objects, Settings};
use crate::topology;

/// Names of namespaces.
const NAMESPACES: [&str; 3] = ["default", "one", "two"];

/// One case in so many has changes.
pub const CHANGES_EVERY: u64 = 4;

/// The case of a seed.
#[must_use]
pub fn case(seed: u64) -> Case {
    let changes = if seed.is_multiple_of(CHANGES_EVERY) { 12 } else { 0 };
    let mut make = Generator { rng: Rng::with_seed(seed) };
    let settings = Settings { audit: make.chance(5), hold_unknown: make.chance(70) };
    let mut objects = make.objects();
    let first = objects.all();
    let mut connections = make.connections(&objects, 24);
    let changes = (0..changes).map(|_| {
        let change = make.change(&objects);
        objects.apply(&change);
        connections.extend(make.connections(&objects, 4));
        change
    });
    let changes = changes.collect();
    Case { settings, objects: first, changes, connections }
}

/// Throws the dice.
struct Generator {
    rng: Rng,
}

impl Generator {
    /// Whether something happens that does so in `percent` of all cases.
    fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    /// One of these.
    fn one_of<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(0..from.len())].clone()
    }

    /// As many as something says of what something makes.
    fn list<T>(&mut self, count: std::ops::RangeInclusive<usize>, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.rng.usize(count);
        (0..count).map(|_| make(self)).collect()
    }

    fn objects(&mut self) -> Objects {
        let mut objects = Objects::default();
        for number in 1..=self.rng.u8(1..=2) {
            objects.nodes.push(node(number));
        }
        for name in NAMESPACES {
            // A Namespace that isn't known yet has its name for a label, as every other.
            if self.chance(85) {
                objects.namespaces.push(self.namespace(name));
            }
        }
        for _ in 0..self.rng.usize(3..=8) {
            let pod = self.pod(&objects);
            objects.apply(&Change::Apply(Object::Pod(pod)));
        }
        for _ in 0..self.rng.usize(0..=6) {
            let policy = self.network_policy(&objects);
            objects.apply(&Change::Apply(Object::NetworkPolicy(policy)));
        }
        objects
    }

    fn namespace(&mut self, name: &str) -> k8s_openapi::api::core::v1::Namespace {
        let labels = self.namespace_labels();
        let annotations = self.annotations(4);
        object(json!({"metadata": {"name": name, "labels": labels, "annotations": annotations}}))
    }

    /// An annotation that asks for audit in so many of a hundred cases.
    fn annotations(&mut self, percent: u32) -> Value {
        match self.rng.u32(0..100) {
            dice if dice < percent => json!({"sluice.io/policy-mode": "audit"}),
            dice if dice < percent + 3 => json!({"sluice.io/policy-mode": "enforce"}),
            dice if dice < percent + 6 => json!({"example.com/policy-mode": "audit"}),
            _ => Value::Null,
        }
    }
}

/// Node `number` of the lab, with all its addresses.
fn node(number: u8) -> k8s_openapi::api::core::v1::Node {
    let addresses: Vec<_> =
        topology::node(number).iter().map(|ip| json!({"type": "InternalIP", "address": ip})).collect();
    let cidrs = [format!("10.244.{number}.0/24"), format!("fd00:10:244:{number}::/64")];
    object(json!({
        "metadata": {"name": format!("node{number}")},
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
        "status": {"addresses": addresses},
    }))
}

/// An object of the API out of JSON without kind and version; a field that is null is not there.
fn object<T: k8s_openapi::Resource + DeserializeOwned>(mut json: Value) -> T {
    json["apiVersion"] = T::API_VERSION.into();
    json["kind"] = T::KIND.into();
    serde_json::from_value(json).unwrap_or_else(|error| unreachable!("{}: {error}", T::KIND))
}
