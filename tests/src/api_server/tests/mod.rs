//! The server itself, asked over plain sockets and by a client of Kubernetes.

mod ask;
mod faults;
mod lists;
mod runtime;
mod watches;
mod writes;

use serde_json::{Value, json};

use super::{Api as _, ApiServer, Settings};
use crate::manifests::build::{http, pod, service};

/// A server with a Service `web` and three Pods of it.
fn server() -> ApiServer {
    let server = ApiServer::on_loopback(Settings::default()).unwrap();
    server.apply(&service("web", 10, &http())).unwrap();
    for index in 1..=3 {
        server.apply(&pod(&format!("web-{index}"), "web", index, 20)).unwrap();
    }
    server
}

/// Names of a list's objects.
fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(name).collect()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

fn labelled(mut object: Value, label: &str, value: &str) -> Value {
    object["metadata"]["labels"][label] = json!(value);
    object
}
