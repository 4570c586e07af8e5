//! The loader against the kernel object and the running kernel. Takes root and the built object.

mod adopt;
mod cleanup;
mod clsact;
mod support;
mod tables;
