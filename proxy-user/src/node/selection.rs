//! `--device`: which interfaces are uplinks, when the user says so.

use glob::{Pattern, PatternError};

use super::role::Role;

/// Names of the uplinks, `*` and `?` allowed; empty for detection.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeviceSelection(Vec<Pattern>);

/// A name that is no pattern.
#[derive(Debug, thiserror::Error)]
#[error("--device {pattern:?} is no pattern for interface names; `eth*` is one")]
pub struct DevicePatternError {
    /// As given.
    pub pattern: String,
    /// What is wrong.
    pub source: PatternError,
}

impl DeviceSelection {
    /// From names or patterns.
    pub fn new(patterns: impl IntoIterator<Item: AsRef<str>>) -> Result<Self, DevicePatternError> {
        let parse = |pattern: &str| {
            Pattern::new(pattern).map_err(|source| DevicePatternError { pattern: pattern.to_owned(), source })
        };
        patterns.into_iter().map(|pattern| parse(pattern.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// The role of an interface, given the one detected.
    pub(super) fn role(&self, name: &str, detected: Role) -> Role {
        if self.0.is_empty() || detected == Role::Loopback {
            return detected;
        }
        if self.0.iter().any(|pattern| pattern.matches(name)) {
            return Role::Uplink;
        }
        if detected == Role::Uplink { Role::Other } else { detected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_selection_what_is_detected_holds() {
        let selection = DeviceSelection::default();
        assert_eq!(selection.role("eth0", Role::Uplink), Role::Uplink);
        assert_eq!(selection.role("eth0", Role::Other), Role::Other);
    }

    #[test]
    fn selected_interfaces_are_the_only_uplinks() {
        let selection = DeviceSelection::new(["eth*", "wan0"]).unwrap();
        assert_eq!(selection.role("eth7", Role::Other), Role::Uplink);
        assert_eq!(selection.role("wan0", Role::Pod), Role::Uplink);
        assert_eq!(selection.role("wan00", Role::Uplink), Role::Other);
        assert_eq!(selection.role("veth1", Role::Pod), Role::Pod);
        assert_eq!(selection.role("lo", Role::Loopback), Role::Loopback);
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = DeviceSelection::new(["eth[0"]).unwrap_err();
        assert!(error.to_string().contains("eth[0"), "{error}");
    }
}
