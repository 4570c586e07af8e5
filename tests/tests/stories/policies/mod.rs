//! Which endpoints a Service's frontends choose from, for whom, and whose address they see. Numbers are those of
//! kube-proxy's rules.

mod cluster;
mod hints;
mod table;
mod terminating;
