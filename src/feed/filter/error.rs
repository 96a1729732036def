//! What is wrong with a filter, and where.

/// A filter that is refused. Goes to whoever wrote it, as `bad_filter`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at byte {place})")]
pub struct FilterError {
    /// What is wrong and what would be right; quotes the filter, never a row.
    pub message: String,
    /// The byte in the text as it was given, before percent-decoding.
    pub place: usize,
}

impl FilterError {
    pub(super) fn new(message: impl Into<String>, place: usize) -> Self {
        Self { message: message.into(), place }
    }
}
