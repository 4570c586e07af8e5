//! The name of an image.

use std::str::FromStr;

/// `REPOSITORY[:TAG][@DIGEST]`, as container tools write it; what isn't there is empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Image {
    pub(super) repository: String,
    pub(super) tag: String,
    pub(super) digest: String,
}

impl FromStr for Image {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digest) = text.split_once('@').unwrap_or((text, ""));
        // A colon before the last slash is that of a registry's port.
        let tag_at = name.rfind(':').filter(|at| !name[*at..].contains('/'));
        let (repository, tag) = tag_at.map_or((name, ""), |at| (&name[..at], &name[at + 1..]));
        let is_cut_short = text.ends_with([':', '@']);
        if repository.is_empty() || is_cut_short {
            return Err("expected REPOSITORY[:TAG][@DIGEST]");
        }
        Ok(Self { repository: repository.to_owned(), tag: tag.to_owned(), digest: digest.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_port_is_no_tag() {
        for (text, repository, tag, digest) in [
            ("sluice", "sluice", "", ""),
            ("r.example:5000/sluice", "r.example:5000/sluice", "", ""),
            ("r.example:5000/sluice:v1", "r.example:5000/sluice", "v1", ""),
            ("r.example/sluice:v1@sha256:00", "r.example/sluice", "v1", "sha256:00"),
        ] {
            let expected = Image { repository: repository.into(), tag: tag.into(), digest: digest.into() };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_image_without_a_repository_or_cut_short_is_refused() {
        for text in ["", ":v1", "sluice:", "sluice@"] {
            assert!(text.parse::<Image>().is_err(), "{text}");
        }
    }
}
