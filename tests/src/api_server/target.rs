//! What a request's path names.

use super::kind::Kind;

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// Objects of a kind: all, those of a namespace, or one.
    Objects { kind: &'static Kind, namespace: Option<&'a str>, name: Option<&'a str>, subresource: Option<&'a str> },
    /// `/version`
    Version,
    /// `/healthz`, `/livez`, `/readyz`
    Health,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/api/v1`, `/apis/GROUP/VERSION`
    Kinds { group: &'a str, version: &'a str },
    /// Nothing that is served.
    Unknown,
}

impl<'a> Target<'a> {
    pub(super) fn of(path: &'a str) -> Self {
        let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments[..] {
            ["version"] => Self::Version,
            ["healthz" | "livez" | "readyz"] => Self::Health,
            ["api"] => Self::CoreVersions,
            ["apis"] => Self::Groups,
            ["api", version] => Self::Kinds { group: "", version },
            ["apis", group, version] => Self::Kinds { group, version },
            ["api", version, ref rest @ ..] => objects("", version, rest),
            ["apis", group, version, ref rest @ ..] => objects(group, version, rest),
            _ => Self::Unknown,
        }
    }
}

fn objects<'a>(group: &str, version: &str, rest: &[&'a str]) -> Target<'a> {
    // `namespaces/x/status` is of the Namespace x itself.
    let (namespace, rest) = match *rest {
        ["namespaces", namespace, ref rest @ ..] if !matches!(rest, [] | ["status" | "finalize"]) => {
            (Some(namespace), rest)
        }
        _ => (None, rest),
    };
    let (plural, name, subresource) = match *rest {
        [plural] => (plural, None, None),
        [plural, name] => (plural, Some(name), None),
        [plural, name, subresource] => (plural, Some(name), Some(subresource)),
        _ => return Target::Unknown,
    };
    Kind::at(group, version, plural).map_or(Target::Unknown, |kind| Target::Objects {
        kind,
        namespace,
        name,
        subresource,
    })
}
