//! The smallest case that still fails: whatever can be left out is.

use serde_json::Value;

use super::case::Case;

/// Leaves out of a case what it fails without: connections, changes, objects, rules, labels, fields. A case that is no
/// longer one after that, as a Pod without a name may be, is for `fails` to be content with.
#[must_use]
pub fn smallest(case: Case, mut fails: impl FnMut(&Case) -> bool) -> Case {
    let Ok(mut value) = serde_json::to_value(&case) else { return case };
    let mut best = case;
    loop {
        let before = size(&value);
        for depth in 2.. {
            let pointers = pointers(&value, depth);
            if pointers.is_empty() {
                break;
            }
            // From the back, so that what is left out moves nothing that is still to be tried.
            for pointer in pointers.iter().rev() {
                let mut without = value.clone();
                remove(&mut without, pointer);
                if let Ok(case) = serde_json::from_value::<Case>(without.clone())
                    && fails(&case)
                {
                    (value, best) = (without, case);
                }
            }
        }
        if size(&value) == before {
            return best;
        }
    }
}

fn size(value: &Value) -> usize {
    value.to_string().len()
}

/// The paths of what is this deep.
fn pointers(value: &Value, depth: usize) -> Vec<Vec<String>> {
    if depth == 0 {
        return vec![Vec::new()];
    }
    let children: Vec<(String, &Value)> = match value {
        Value::Array(list) => list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        _ => Vec::new(),
    };
    let below = children.into_iter().flat_map(|(name, child)| {
        pointers(child, depth - 1).into_iter().map(move |rest| [vec![name.clone()], rest].concat())
    });
    below.collect()
}

fn remove(value: &mut Value, path: &[String]) {
    match (value, path) {
        (Value::Array(items), [name]) => drop(name.parse().map(|index: usize| items.remove(index))),
        (Value::Object(map), [name]) => drop(map.remove(name)),
        (value, [first, rest @ ..]) => {
            let child = match value {
                Value::Array(list) => first.parse().ok().and_then(|index: usize| list.get_mut(index)),
                Value::Object(map) => map.get_mut(first),
                _ => None,
            };
            if let Some(child) = child {
                remove(child, rest);
            }
        }
        (_, []) => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::Object;
    use crate::policy::generate;

    use super::*;

    #[test]
    fn only_what_a_failure_needs_is_left() {
        let is_web = |case: &Case| {
            case.objects.iter().any(|object| match object {
                Object::Pod(pod) => pod.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key("tier")),
                _ => false,
            })
        };
        let case = (0..1_000).map(generate::case).find(is_web).unwrap();
        let smallest = smallest(case, is_web);
        let [Object::Pod(pod)] = smallest.objects.as_slice() else { panic!("{smallest:?}") };
        assert_eq!(pod.metadata.labels.as_ref().map(std::collections::BTreeMap::len), Some(1));
        assert!(pod.spec.is_none() && smallest.changes.is_empty() && smallest.connections.is_empty());
    }
}
