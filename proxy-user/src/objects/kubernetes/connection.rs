//! How the API server is doing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The connection to the API server, as of now.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// URL of the API server.
    pub server: String,
    /// Since when some kind of object can't be followed; `None` while all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_since: Option<Timestamp>,
    /// Why, as last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Kinds of which the first list hasn't come yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
}
