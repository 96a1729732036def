//! What JSON, paths into it and patterns are made of.

/// Documents.
pub(crate) const JSON: &[&str] = &[
    "{}",
    "[]",
    "null",
    "1",
    "\"a\"",
    "true",
    "{\"a\": 1}",
    "{\"a\": \"1\"}",
    "{\"a\": null}",
    "{\"a\": {\"b\": [1, \"x\", null]}}",
    "{\"a\": 1.50, \"b\": true}",
    "{\"a\": \"\\u00e9\\n\"}",
    "{\"a\": [10, 20, 30]}",
    "[1, {\"a\": \"z\"}]",
    "{\"a\": 1, \"a\": 2}",
    "{\"\": 5}",
    "{ \"a\" : { \"b\" : 1 } }",
    "{\"0\": \"zero\", \"a\": \"a\\\"b\"}",
    "[\"x\", [\"y\"]]",
    "{\"a\": \"\"}",
    "{\"a\": 1e2}",
    "{\"\\u0061\": \"escaped\"}",
    "{\"a.b\": \"dot\"}",
];

/// What paths are made of.
pub(crate) const STEPS: &[&str] = &["a", "b", "0", "1", "-1", "2", "c", "a.b"];

/// What ends of paths are compared with.
pub(crate) const ENDS: &[&str] = &[
    "1",
    "2",
    "1.50",
    "x",
    "z",
    "true",
    "\u{e9}\n",
    "{\"b\": 1}",
    "{\"b\": [1, \"x\", null]}",
    "",
    "null",
    "a\"b",
    "1e2",
    "100",
    "escaped",
    "[1, \"x\", null]",
    "{ \"b\" : 1 }",
    "zero",
    "y",
    "dot",
    "[10, 20, 30]",
    "5",
    "a",
];

/// What patterns are made of.
pub(crate) const PATTERN: &[&str] =
    &["a", "b", "A", "k", "i", "%", "_", "*", "\\", "\u{e9}", "\u{c9}", " ", "\\%", "\\_"];
