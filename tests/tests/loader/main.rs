//! The loader against the kernel object and the running kernel. Takes root and the built object.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails it")]

mod adopt;
mod cleanup;
mod clsact;
mod foreign;
mod layouts;
mod policy;
mod services;
mod support;
mod tables;
mod upgrade;
