//! The agent's HTTP servers: health for load balancers and the kubelet, of the node and of each Service that asks for
//! it, and metrics for Prometheus.

mod connections;
mod failures;
mod health;
mod health_check;
mod listen;
mod metrics;
mod routes;
mod servers;

pub use failures::Failures;
pub use health::{Health, Limits};
pub use health_check::{HealthCheckServers, HealthChecks};
pub use listen::BindError;
pub use metrics::{Metrics, PolicyLabels};
pub use servers::start;

#[cfg(test)]
mod tests;
