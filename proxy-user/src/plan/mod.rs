//! From the model to the tables the dataplane must hold. Pure: no kernel, no clock, no I/O.

mod write;

pub use write::{Image, Write};
