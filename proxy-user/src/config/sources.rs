//! Where the configuration comes from: the command line, and a file that may change.

use std::path::PathBuf;

use super::{Config, ConfigError, Settings};

/// Flags, which win, and the file that `--config` names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sources {
    /// What flags say.
    pub flags: Settings,
    /// The file.
    pub file: Option<PathBuf>,
}

impl Sources {
    /// The settings as both are now.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let file = self.file.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
        Ok(self.flags.clone().or(file))
    }

    /// The configuration that they make.
    pub fn read(&self) -> Result<Config, ConfigError> {
        self.settings()?.resolve()
    }
}
