//! House rules, checked like any other behaviour: which room may import which, where each outside
//! package lives, how long files and lines are, and what a test may not do.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const LINES_MAX: usize = 400;
const COLUMNS_MAX: usize = 100;

/// Which rooms a room may import, itself excepted. A pair that is not here is not allowed, so no
/// room can import one above it and there are no cycles: rustc would allow both.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("change", &[]),
    ("tasks", &[]),
    ("settings", &[]),
    ("telemetry", &["settings"]),
    ("wire", &["change"]),
    ("feed", &["change", "wire", "tasks"]),
    ("auth", &["change", "wire", "feed", "tasks"]),
    ("source", &["change", "wire", "feed", "tasks"]),
    ("session", &["change", "wire", "feed", "auth", "tasks"]),
    ("http", &["change", "wire", "feed", "auth", "session", "tasks"]),
    (
        "app",
        &[
            "change",
            "wire",
            "feed",
            "auth",
            "source",
            "session",
            "http",
            "settings",
            "tasks",
            "telemetry",
        ],
    ),
    ("main", &["app", "settings", "telemetry"]),
    ("lib", &[]),
];

/// The rooms in which each outside package may be named.
const HOMES: &[(&str, &[&str])] = &[
    ("tokio_postgres", &["source"]),
    ("deadpool_postgres", &["source"]),
    ("tokio_postgres_rustls", &["source"]),
    ("warp", &["http"]),
    ("rust_embed", &["http"]),
    ("hyper", &["http", "auth"]),
    ("hyper_util", &["http", "auth"]),
    ("hyper_rustls", &["auth", "http"]),
    ("tungstenite", &["http"]),
    ("rustix", &["http"]),
    ("jsonwebtoken", &["auth"]),
    ("config", &["settings"]),
    ("clap", &["main", "app"]),
    ("metrics_exporter_prometheus", &["app", "telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    ("tikv_jemallocator", &["main"]),
];

#[test]
fn every_file_says_what_it_is_for() {
    for file in sources().iter().chain(&tests()) {
        assert!(file.text.starts_with("//! "), "{} has no `//!` line", file.path.display());
    }
}

#[test]
fn files_and_lines_stay_short() {
    for file in sources().iter().chain(&tests()) {
        let lines = file.text.lines().count();
        assert!(lines <= LINES_MAX, "{}: {lines} lines", file.path.display());
    }
    // rustfmt keeps code short, but neither comments nor the SQL in the texts of tests.
    for file in sources() {
        for (number, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            assert!(columns <= COLUMNS_MAX, "{}:{}: {columns}", file.path.display(), number + 1);
        }
    }
}

#[test]
fn imports_go_one_way() {
    for file in sources() {
        let (_, allowed) = MAY_IMPORT
            .iter()
            .find(|(room, _)| *room == file.room)
            .unwrap_or_else(|| panic!("{} is in no known room", file.path.display()));
        for room in imported(&file.text) {
            let known = MAY_IMPORT.iter().any(|(name, _)| *name == room);
            assert!(
                !known || room == file.room || allowed.contains(&room),
                "{}: `{}` may not import `{room}`",
                file.path.display(),
                file.room,
            );
        }
    }
}

#[test]
fn the_table_of_rooms_has_no_cycle() {
    for (room, allowed) in MAY_IMPORT {
        for below in *allowed {
            let (_, back) = MAY_IMPORT.iter().find(|(name, _)| name == below).unwrap();
            assert!(!back.contains(room), "{room} and {below} import each other");
        }
    }
}

#[test]
fn each_package_has_one_home() {
    for file in sources() {
        for (package, homes) in HOMES {
            assert!(
                !names(&file.text, package) || homes.contains(&file.room.as_str()),
                "{}: `{package}` belongs in {homes:?}",
                file.path.display(),
            );
        }
    }
}

#[test]
fn no_test_is_left_out() {
    let mark = concat!("#[ign", "ore");
    for file in sources().iter().chain(&tests()) {
        assert!(!file.text.contains(mark), "{}: a test is ignored", file.path.display());
    }
}

#[test]
fn an_import_is_found_however_it_is_written() {
    let text = "use crate::change::Row;\nuse crate::{\n  feed::{Hub, wire_like},\n  wire,\n};\n\
                /// See [`crate::auth::Grant`].\nuse pgfeed::app;";
    assert_eq!(imported(text), ["change", "auth", "app", "feed", "wire"]);
    assert!(names("use warp::Filter;", "warp") && !names("mod rewarp::x;", "warp"));
    assert!(names("use config::{Config};", "config") && !names("crate::config::x", "config"));
    assert!(names("let it = config::Config::builder();", "config"));
    let module = "use other::{config::Mode, X};\nlet it = config::Mode::A;";
    assert!(!names(module, "config") && names(module, "other"));
}

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

fn sources() -> Vec<Source> {
    below("src")
}

fn tests() -> Vec<Source> {
    below("tests")
}

fn below(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    visit(&root, &root, &mut found);
    assert!(!found.is_empty());
    found
}

fn visit(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(root, &path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            // The first name below the root: a folder, or a file without its ending.
            let room = word(path.strip_prefix(root).unwrap().to_str().unwrap()).to_owned();
            found.push(Source { path, room, text });
        }
    }
}

/// The modules of this crate that a text names: those written out, then those in braces.
fn imported(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut grouped = Vec::new();
    for root in ["crate::", "pgfeed::"] {
        for after in text.split(root).skip(1) {
            match after.strip_prefix('{') {
                Some(group) => grouped.extend(top_names(group)),
                None => found.push(word(after)),
            }
        }
    }
    found.extend(grouped);
    found
}

/// The first names in a group of imports, up to its closing brace.
fn top_names(group: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, sign) in group.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth > 0 => {}
            ',' | '}' => {
                names.push(word(group[start..at].trim_start()));
                start = at + 1;
                if sign == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Whether a text names an outside package: as the root of an import, or of a path in the code
/// where no import brings in a module of the same name.
fn names(text: &str, package: &str) -> bool {
    let mut code = String::new();
    let mut is_module = false;
    for statement in text.split_inclusive(';') {
        let (before, import) = match statement.rfind("use ") {
            Some(at) if is_word_start(statement, at) => statement.split_at(at),
            _ => (statement, ""),
        };
        code.push_str(before);
        let path = import.trim_start_matches("use ");
        if word(path) == package {
            return true;
        }
        let mut after_root = path.split(|c: char| !(c.is_alphanumeric() || c == '_')).skip(1);
        is_module |= after_root.any(|name| name == package);
    }
    let path = format!("{package}::");
    !is_module && code.match_indices(&path).any(|(at, _)| is_word_start(&code, at))
}

fn is_word_start(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    !before.is_some_and(|it| it.is_alphanumeric() || it == '_' || it == ':')
}

fn word(text: &str) -> &str {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default()
}
