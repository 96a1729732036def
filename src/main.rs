//! The pgfeed program.
fn main() {}
