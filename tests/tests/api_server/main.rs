//! The agent on the objects of an API server, and on whatever can become of one.

mod changes;
mod events;
mod faults;
mod gone;
mod outage;
mod real;
mod requests;
mod scene;
mod start;
mod token;
mod writer;
