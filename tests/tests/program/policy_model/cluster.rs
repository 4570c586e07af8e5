//! The nodes of a cluster, each with the tables that its agent would make.

use lab::policy::{Change, Object, Objects, Settings};
use proxy_user::model;
use proxy_user::objects::manifest;

use super::node::Node;
use super::numbers;

/// A node for each Node object.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
}

impl Cluster {
    /// The agents of all nodes start.
    pub(super) fn new(objects: &Objects, settings: Settings) -> Result<Self, String> {
        let mut cluster = Self { nodes: objects.nodes.iter().map(|node| Node::new(node, settings)).collect() };
        for object in objects.all() {
            cluster.apply(&Change::Apply(object))?;
        }
        Ok(cluster)
    }

    /// Every agent hears of a change.
    pub(super) fn apply(&mut self, change: &Change) -> Result<(), String> {
        let change = match change {
            Change::Apply(object) => model::Change::Apply(converted(object)?),
            Change::Delete(object) => model::Change::Delete(converted(object)?.object_ref()),
        };
        self.nodes.iter_mut().for_each(|node| node.policies.apply(&change));
        Ok(())
    }

    /// Every agent brings its tables up to date.
    pub(super) fn update(&mut self) -> Result<(), String> {
        self.nodes.iter_mut().try_for_each(Node::update)
    }

    /// Whether the tables are those that agents would make that start now, but for the numbers in them.
    pub(super) fn is_as_new(&self, objects: &Objects, settings: Settings) -> Result<(), String> {
        let mut fresh = Self::new(objects, settings)?;
        fresh.update()?;
        for (node, fresh) in self.nodes.iter().zip(&fresh.nodes) {
            numbers::same(node.plan.image(), fresh.plan.image())
                .map_err(|what| format!("{}: not the tables of an agent that starts now: {what}", node.name))?;
        }
        Ok(())
    }
}

/// The object as a source would tell it.
fn converted(object: &Object) -> Result<model::Object, String> {
    let converted = manifest::object(serde_json::to_value(object).map_err(|error| error.to_string())?);
    match converted {
        Ok(Some(model::Object::NetworkPolicy(policy))) if !policy.defects.is_empty() => {
            Err(format!("{}/{}: {:?}", policy.namespace, policy.name, policy.defects))
        }
        Ok(Some(object)) => Ok(object),
        Ok(None) => Err(format!("{:?}: not of a kind that counts", object.key())),
        Err(error) => Err(format!("{:?}: {error}", object.key())),
    }
}
