//! Hostile text for `strangers::cursor`; what it must hold is said there.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/corpus/strangers.rs"]
mod strangers;

fuzz_target!(|text: &str| strangers::cursor(text));
