//! Errors for people: a message with all that led to it.

use std::error::Error;

/// An error and its causes, the first cause last. Some libraries' messages contain their cause and others leave it to
/// `source`; each is told once.
pub(crate) fn explain(error: &(dyn Error + 'static)) -> String {
    let causes = anyhow::Chain::new(error).skip(1);
    causes
        .map(ToString::to_string)
        .fold(error.to_string(), |text, cause| if text.contains(&cause) { text } else { format!("{text}: {cause}") })
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context as _;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("file x: {source}; check the path")]
    struct Contains {
        source: io::Error,
    }

    #[test]
    fn a_cause_is_told_once_whether_the_message_contains_it_or_not() {
        let refused = || io::Error::new(io::ErrorKind::PermissionDenied, "not allowed");
        let error: anyhow::Error = Err::<(), _>(Contains { source: refused() }).context("manifests").unwrap_err();
        assert_eq!(explain(error.as_ref()), "manifests: file x: not allowed; check the path");
        let error = Err::<(), _>(refused()).context("table SERVICES").context("start").unwrap_err();
        assert_eq!(explain(error.as_ref()), "start: table SERVICES: not allowed");
    }
}
