//! The report for programs.

use serde_json::{Value, json};

use super::Report;

impl Report {
    /// Everything, rounded by nobody.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "environment": self.environment,
            "figures": self.figures(),
            "remarks": self.remarks,
            "leftOut": self.left_out,
        })
    }
}
