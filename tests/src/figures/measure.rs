//! What is measured, and of how much.

use std::fmt;

use serde::Serialize;

/// Something that is measured.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Measure {
    /// What it is, in words; `--only` looks for a part of it.
    pub name: &'static str,
    /// Unit of its absolute numbers.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
}

impl Measure {
    /// One of which less is better: a time, a cost, a loss.
    #[must_use]
    pub const fn less(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, better: Better::Less }
    }

    /// One of which more is better: a rate.
    #[must_use]
    pub const fn more(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, better: Better::More }
    }

    /// Its name as a file's.
    #[must_use]
    pub fn file_name(&self) -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
        let words: String = self.name.chars().map(kept).collect();
        words.split_whitespace().collect::<Vec<_>>().join("-")
    }
}

/// Which way a measure is better.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// Less of it.
    Less,
    /// More of it.
    More,
}

/// Of how much it is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// There is only one.
    One,
    /// So many Services; the one that is asked comes last.
    Services(u32),
    /// So many rules of policies on the pods under test.
    Rules(u32),
    /// So many Services with so many endpoints each.
    Cluster {
        /// Services.
        services: u32,
        /// Endpoints of each.
        endpoints: u32,
    },
    /// A path of a packet through a program.
    Path(&'static str),
}

impl Size {
    /// The number of a scale, of which a plot can be made.
    #[must_use]
    pub const fn number(self) -> Option<u32> {
        match self {
            Self::Services(number) | Self::Rules(number) => Some(number),
            Self::One | Self::Cluster { .. } | Self::Path(_) => None,
        }
    }

    /// The size and what it counts: "1 Service".
    #[must_use]
    pub fn in_words(self) -> String {
        match (self, self.number()) {
            (Self::One, _) => "one size".into(),
            (_, Some(1)) => format!("1 {}", self.scale().trim_end_matches('s')),
            _ => format!("{self} {}", self.scale()),
        }
    }

    /// What the number counts.
    #[must_use]
    pub const fn scale(self) -> &'static str {
        match self {
            Self::One => "",
            Self::Services(_) => "Services",
            Self::Rules(_) => "rules",
            Self::Cluster { .. } => "Services x endpoints",
            Self::Path(_) => "path",
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One => out.write_str("-"),
            Self::Services(number) | Self::Rules(number) => out.write_str(&thousands(*number)),
            Self::Cluster { services, endpoints } => {
                write!(out, "{} x {}", thousands(*services), thousands(*endpoints))
            }
            Self::Path(name) => out.write_str(name),
        }
    }
}

/// 10,000 instead of 10000.
fn thousands(number: u32) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_with_their_thousands() {
        assert_eq!(Size::Services(1).to_string(), "1");
        assert_eq!(Size::Services(1).in_words(), "1 Service");
        assert_eq!(Size::Rules(1_000).in_words(), "1,000 rules");
        assert_eq!(Size::Rules(10_000).to_string(), "10,000");
        assert_eq!(Size::Cluster { services: 1_234_567, endpoints: 50 }.to_string(), "1,234,567 x 50");
    }

    #[test]
    fn a_file_name_is_the_words_of_the_measure() {
        assert_eq!(Measure::less("connect, NodePort (local), p50", "us").file_name(), "connect-nodeport-local-p50");
    }
}
