//! The agent's HTTP servers: health for load balancers and the kubelet, metrics for Prometheus.

mod health;
mod listen;
mod metrics;
mod routes;

pub use health::{Health, Limits};
pub use listen::serve;
pub use metrics::Metrics;
pub use routes::{health_routes, metrics_routes};

#[cfg(test)]
mod tests;
