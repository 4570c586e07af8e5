//! What the API server would refuse.

use fastrand::Rng;
use serde_json::{Value, json};

use crate::policy::case::Object;

/// Spoils one part of one of the policies: what is there already has a word in it that nobody knows, or that contradicts
/// another. `None` where no policy has such a part.
#[must_use]
pub fn defective(seed: u64, objects: &[Object]) -> Option<Vec<Value>> {
    let mut rng = Rng::with_seed(seed);
    let mut objects: Vec<Value> = objects.iter().filter_map(|object| serde_json::to_value(object).ok()).collect();
    let policies = objects.iter_mut().filter(|object| object["kind"] == "NetworkPolicy");
    let mut spoils: Vec<(&mut Value, Value)> = Vec::new();
    for policy in policies {
        collect(&mut policy["spec"], &mut rng, &mut spoils);
    }
    if spoils.is_empty() {
        return None;
    }
    let (place, bad) = spoils.swap_remove(rng.usize(0..spoils.len()));
    *place = bad;
    Some(objects)
}

/// The places that can be spoilt, each with what is to stand there.
fn collect<'a>(value: &'a mut Value, rng: &mut Rng, spoils: &mut Vec<(&'a mut Value, Value)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let bad: &[Value] = match key.as_str() {
                    "cidr" => &[json!("10.0.0.0/33"), json!("no network"), json!("fe80::/130")],
                    "except" => &[json!(["no network"]), json!(["192.0.2.0/99"])],
                    "operator" => &[json!("Near"), json!("")],
                    "endPort" => &[json!(0), json!(65_536)],
                    "port" => &[json!(0), json!(70_000), json!("not a name"), json!("-")],
                    "protocol" => &[json!("ICMP"), json!("tcp")],
                    "policyTypes" => &[json!(["Ingres"]), json!(["Egress", "egress"])],
                    _ => &[],
                };
                if bad.is_empty() {
                    collect(value, rng, spoils);
                } else {
                    spoils.push((value, bad[rng.usize(0..bad.len())].clone()));
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| collect(value, rng, spoils)),
        _ => {}
    }
}
