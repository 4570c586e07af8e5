//! The operator's own list of uplinks.

use glob::Pattern;

use super::Error;

/// Names and patterns (`eth*`) of the interfaces that are uplinks; empty to have them detected.
#[derive(Debug)]
pub(super) struct Uplinks(Vec<Pattern>);

impl Uplinks {
    /// From the values of the agent's `--device` flags.
    pub(super) fn parse(patterns: &[String]) -> Result<Self, Error> {
        let parse = |pattern: &String| {
            Pattern::new(pattern).map_err(|source| Error::Pattern { pattern: pattern.clone(), source })
        };
        patterns.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the list has an interface of this name; `None` without a list.
    pub(super) fn lists(&self, name: &str) -> Option<bool> {
        (!self.0.is_empty()).then(|| self.0.iter().any(|pattern| pattern.matches(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::Uplinks;
    use crate::node::Error;

    fn list(patterns: &[&str]) -> Result<Uplinks, Error> {
        Uplinks::parse(&patterns.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn names_match_whole_and_a_star_any_rest() {
        let uplinks = list(&["eth*", "wan"]).unwrap();
        assert_eq!(uplinks.lists("eth12"), Some(true));
        assert_eq!(uplinks.lists("wan"), Some(true));
        assert_eq!(uplinks.lists("wan0"), Some(false));
        assert_eq!(uplinks.lists("veth1"), Some(false));
    }

    #[test]
    fn an_empty_list_has_no_opinion() {
        assert_eq!(list(&[]).unwrap().lists("eth0"), None);
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = list(&["eth[0"]).unwrap_err();
        assert!(error.to_string().contains("eth[0"), "{error}");
    }
}
