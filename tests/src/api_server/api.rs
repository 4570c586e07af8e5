//! What suites need of an API server, whoever's it is.

use std::path::PathBuf;

use serde_json::Value;

use crate::error::Result;

/// An API server under a suite: ours, or a real one.
pub trait Api {
    /// A kubeconfig for agents.
    fn kubeconfig(&self) -> PathBuf;

    /// Creates an object or replaces it, with its status.
    fn apply(&self, object: &Value) -> Result<()>;

    /// Deletes an object, of which no more than kind, namespace and name are looked at.
    fn delete(&self, object: &Value) -> Result<()>;

    /// Ends it, or cuts every connection and refuses new ones.
    fn go_down(&self) -> Result<()>;

    /// Starts it again with the objects that there are.
    fn come_up(&self) -> Result<()>;

    /// [`Api::apply`] to each.
    fn apply_all(&self, objects: &[Value]) -> Result<()> {
        objects.iter().try_for_each(|object| self.apply(object))
    }
}
