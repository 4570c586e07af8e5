//! `labelSelector` and `fieldSelector`.

use super::kind::Kind;
use super::stored::Stored;

/// Which objects a request is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    namespace: Option<String>,
    name: Option<String>,
    labels: Vec<(String, Term)>,
    fields: Vec<(String, Term)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selection {
    /// Reads the selectors of a request; the error is the API server's message.
    pub(super) fn parse(
        kind: &Kind,
        namespace: Option<&str>,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Self, String> {
        let labels = split(labels.unwrap_or_default()).map(requirement).collect::<Result<_, _>>()?;
        let mut selection = Self { namespace: namespace.map(Into::into), name: None, labels, fields: Vec::new() };
        for text in split(fields.unwrap_or_default()) {
            let (field, term) = requirement(text)?;
            let known = matches!(&*field, "metadata.name" | "metadata.namespace")
                || kind.fields.iter().any(|(name, ..)| *name == field);
            if !known || matches!(term, Term::Exists | Term::Absent) {
                return Err(format!("field label not supported: {field}"));
            }
            selection.fields.push((field, term));
        }
        Ok(selection)
    }

    /// The one object of a name.
    pub(super) fn one(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    pub(super) fn holds(&self, object: &Stored) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| *namespace == object.key.0)
            && self.name.as_ref().is_none_or(|name| *name == object.key.1)
            && self.labels.iter().all(|(label, term)| term.holds(object.label(label)))
            && self.fields.iter().all(|(field, term)| term.holds(object.field(field)))
    }
}

impl Term {
    fn holds(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
        match self {
            Self::In(values) => among(values),
            Self::NotIn(values) => !among(values),
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
        }
    }
}

/// The terms of a selector: commas part them, but for those in brackets.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let terms = text.split(move |character| {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        character == ',' && depth == 0
    });
    terms.map(str::trim).filter(|term| !term.is_empty())
}

fn requirement(text: &str) -> Result<(String, Term), String> {
    let one = |value: &str| vec![value.trim().to_owned()];
    for (operator, denied) in [("!=", true), ("==", false), ("=", false)] {
        if let Some((key, value)) = text.split_once(operator) {
            let term = if denied { Term::NotIn(one(value)) } else { Term::In(one(value)) };
            return Ok((key.trim().into(), term));
        }
    }
    if let Some((head, values)) = text.split_once('(') {
        let values =
            values.trim_end().strip_suffix(')').ok_or_else(|| format!("unable to parse requirement: {text}"))?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        return match head.split_whitespace().collect::<Vec<_>>()[..] {
            [key, "in"] => Ok((key.into(), Term::In(values))),
            [key, "notin"] => Ok((key.into(), Term::NotIn(values))),
            _ => Err(format!("unable to parse requirement: {text}")),
        };
    }
    Ok(text.strip_prefix('!').map_or_else(|| (text.into(), Term::Exists), |key| (key.trim().into(), Term::Absent)))
}
