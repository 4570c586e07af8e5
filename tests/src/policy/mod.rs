//! NetworkPolicy judged a second time, independently of the product: clusters of objects made at random
//! ([`generate`]), a verdict read straight off the API reference ([`mod@reference`]), and the smallest cluster on which
//! two judges still differ ([`smaller`]).

pub mod case;
#[cfg(test)]
mod examples;
pub mod generate;
pub mod reference;
mod selector;
pub mod smaller;

pub use case::{Case, Change, Connection, Object, Objects, Protocol, Settings};
pub use reference::{Decision, Verdict, verdict};
