//! A throwaway cluster for this test binary, and a database for each test.

mod cluster;
mod session;

pub(crate) use cluster::{Database, database, socket_folder};
pub(crate) use session::Session;

/// An error as a person sees it: message and hint, down the chain.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
