//! Label selectors.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::defects::Defects;
use super::field::{FieldError, FieldProblem};
use super::syntax;
use crate::model::{Requirement, Selector};

/// A selector, without the requirements that can't be understood.
pub(super) fn selector(selector: &LabelSelector, path: &str, defects: &mut Defects) -> Selector {
    let mut requirements = BTreeSet::new();
    for (key, text) in selector.match_labels.iter().flatten() {
        let checked = label_key(key, || format!("{path}.matchLabels"))
            .and_then(|()| label_value(text, || format!("{path}.matchLabels[\"{key}\"]")));
        requirements.extend(defects.check(checked).map(|()| Requirement::In(key.clone(), [text.clone()].into())));
    }
    for (i, it) in selector.match_expressions.iter().flatten().enumerate() {
        requirements.extend(defects.check(requirement(it, &format!("{path}.matchExpressions[{i}]"))));
    }
    Selector { requirements }
}

fn requirement(it: &LabelSelectorRequirement, path: &str) -> Result<Requirement, FieldError> {
    label_key(&it.key, || format!("{path}.key"))?;
    let values = it.values.as_deref().unwrap_or_default();
    for (i, text) in values.iter().enumerate() {
        label_value(text, || format!("{path}.values[{i}]"))?;
    }
    let key = it.key.clone();
    let some = |operator| match values {
        [] => Err(FieldProblem::NoValues(operator).at(format!("{path}.values"))),
        values => Ok(values.iter().cloned().collect()),
    };
    let none = |operator| match values {
        [] => Ok(()),
        _ => Err(FieldProblem::HasValues(operator).at(format!("{path}.values"))),
    };
    match it.operator.as_str() {
        "In" => Ok(Requirement::In(key, some("In")?)),
        "NotIn" => Ok(Requirement::NotIn(key, some("NotIn")?)),
        "Exists" => none("Exists").map(|()| Requirement::Exists(key)),
        "DoesNotExist" => none("DoesNotExist").map(|()| Requirement::DoesNotExist(key)),
        other => {
            let expected = "In, NotIn, Exists, DoesNotExist";
            Err(FieldProblem::Unknown { value: other.to_owned(), expected }.at(format!("{path}.operator")))
        }
    }
}

fn label_key(key: &str, field: impl Fn() -> String) -> Result<(), FieldError> {
    if syntax::is_label_key(key) { Ok(()) } else { Err(FieldProblem::NotALabelKey(key.to_owned()).at(field())) }
}

fn label_value(text: &str, field: impl Fn() -> String) -> Result<(), FieldError> {
    if syntax::is_label_value(text) { Ok(()) } else { Err(FieldProblem::NotALabelValue(text.to_owned()).at(field())) }
}
