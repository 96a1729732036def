//! What can be wrong with the settings.

use std::{fmt, io, path::PathBuf};

/// Why the settings were refused. The program stops with exit code 78.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file named by `--config` could not be read.
    #[error("cannot read the settings file {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Something in it, or in the environment, is wrong; everything that is, at once.
    #[error("{}", Lines(.0))]
    Refused(Vec<Problem>),
}

/// A key and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// As `section.key`.
    pub key: String,
    /// Never shows the value of a secret.
    pub reason: String,
}

/// One thing that is wrong: where it was written, which key, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A file, or an environment variable.
    pub origin: String,
    /// As `section.key`; empty where a whole file is meant.
    pub key: String,
    /// Never shows the value of a secret.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            return write!(f, "{}: {}", self.origin, self.reason);
        }
        write!(f, "{}: {}: {}", self.origin, self.key, self.reason)
    }
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}
