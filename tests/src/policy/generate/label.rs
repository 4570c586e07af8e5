//! Labels and selectors of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Generator, NAMESPACES};

const POD_LABELS: [(&str, &[&str]); 3] =
    [("app", &["a", "b", "c"]), ("tier", &["web", "db"]), ("canary", &["", "yes"])];
const NAMESPACE_LABELS: [(&str, &[&str]); 3] =
    [("team", &["red", "blue"]), ("canary", &["yes"]), ("kubernetes.io/metadata.name", &NAMESPACES)];

impl Generator {
    pub(super) fn pod_labels(&mut self) -> BTreeMap<String, String> {
        self.labels(&POD_LABELS)
    }

    /// Without its name's label, which the API server adds.
    pub(super) fn namespace_labels(&mut self) -> BTreeMap<String, String> {
        self.labels(&NAMESPACE_LABELS[..2])
    }

    pub(super) fn pod_selector(&mut self) -> Value {
        self.selector(&POD_LABELS)
    }

    pub(super) fn namespace_selector(&mut self) -> Value {
        self.selector(&NAMESPACE_LABELS)
    }

    fn labels(&mut self, known: &[(&str, &[&str])]) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (key, values) in known {
            if self.chance(60) {
                labels.insert((*key).to_owned(), self.one_of(values).to_owned());
            }
        }
        labels
    }

    fn selector(&mut self, known: &[(&str, &[&str])]) -> Value {
        let mut selector = Map::new();
        if self.chance(15) {
            return selector.into();
        }
        if self.chance(60) {
            let labels: Map<_, _> = self
                .list(0..=2, |make| {
                    let (key, values) = make.one_of(known);
                    (key.to_owned(), make.one_of(values).into())
                })
                .into_iter()
                .collect();
            selector.insert("matchLabels".to_owned(), labels.into());
        }
        if selector.is_empty() || self.chance(25) {
            let requirements = self.list(0..=2, |make| make.requirement(known));
            selector.insert("matchExpressions".to_owned(), requirements.into());
        }
        selector.into()
    }

    fn requirement(&mut self, known: &[(&str, &[&str])]) -> Value {
        let (key, values) = self.one_of(known);
        let operator = self.one_of(&["In", "In", "NotIn", "NotIn", "Exists", "DoesNotExist"]);
        let values: Value = match operator {
            "In" | "NotIn" => {
                let mut some = self.list(1..=3, |make| make.one_of(values));
                if self.chance(20) {
                    some.push("unheard-of");
                }
                some.into()
            }
            _ if self.chance(50) => json!([]),
            _ => Value::Null,
        };
        json!({"key": key, "operator": operator, "values": values})
    }
}
