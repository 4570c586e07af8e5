//! What is done to a node that must lose nothing by it, for suites that hold it to that and for the benchmark that counts.

mod flood;
mod starts;

pub use flood::half_open;
pub use starts::{Starts, starting, starts};
