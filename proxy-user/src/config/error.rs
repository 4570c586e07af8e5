//! What can be wrong with a configuration.

use std::io;
use std::path::PathBuf;

/// A configuration the agent can't work by. Each says which key (and flag) it is about.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named by `--config` can't be read.
    #[error("configuration file {}: {source}; check the path given by --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The file isn't YAML, or holds a key or a value that isn't one of ours.
    #[error("configuration file {}: {key}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Path of the key, `.` for the top.
        key: String,
        /// What is wrong with it, and where.
        message: String,
    },
    /// A key that has no default isn't set.
    #[error("{key} (flag {flag}) is not set: {hint}")]
    Missing {
        /// The key.
        key: &'static str,
        /// The flag.
        flag: &'static str,
        /// What to give.
        hint: &'static str,
    },
    /// A value of kube-proxy's configuration that can't be.
    #[error("{name}: \"{value}\" should be {expected}")]
    KubeProxy {
        /// Path of the field, or the flag.
        name: String,
        /// The value given.
        value: String,
        /// What would be valid.
        expected: &'static str,
    },
    /// A value that can't be.
    #[error("{key} (flag {flag}): \"{value}\" {expected}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// The flag.
        flag: &'static str,
        /// The value given.
        value: String,
        /// What would be valid.
        expected: &'static str,
    },
}
