//! Every key can be set by file and by variable, and is documented.

use std::time::Duration;

use super::{EXAMPLE, load, settings};
use crate::settings::{
    ByteSize, Operation, Readers, Settings, Span,
    keys::{FEED_KEYS, KEYS, Kind, TABLE_KEYS},
};

const DOCUMENT: &str = include_str!("../../../docs/settings.md");

/// A value that is not the default: as TOML, and as a variable's text.
fn other_value(path: &str, kind: Kind) -> (&'static str, &'static str) {
    match path {
        "server.listen" | "server.admin_listen" => ("\"127.0.0.1:9999\"", "127.0.0.1:9999"),
        "server.allowed_origins" => (
            "[\"https://a.example\", \"https://b.example\"]",
            "https://a.example, https://b.example",
        ),
        "server.trusted_proxies" => ("[\"10.0.0.0/8\"]", "10.0.0.0/8"),
        "auth.jwt_secret" => {
            ("\"01234567890123456789012345678901\"", "01234567890123456789012345678901")
        }
        "auth.jwks_url" => ("\"https://issuer.example/keys\"", "https://issuer.example/keys"),
        "access.default" => ("\"anyone\"", "anyone"),
        "log.retention" => ("\"7d\"", "7d"),
        "log.size_max" | "log.row_bytes_max" | "log.tail_bytes_max" => ("\"123MB\"", "123MB"),
        "telemetry.format" => ("\"json\"", "json"),
        _ => match kind {
            Kind::Number if path == "limits.filter_depth_max" => ("77", "77"),
            Kind::Number => ("777", "777"),
            Kind::Switch => ("true", "true"),
            // A text that looks like a number must stay as it is.
            _ => ("\"0123\"", "0123"),
        },
    }
}

#[test]
fn every_key_is_set_by_file_and_by_variable_alike() {
    for key in KEYS {
        let (toml, text) = other_value(&key.path(), key.kind);
        let by_file = settings(&format!("[{}]\n{} = {toml}", key.section, key.name), &[]);
        let by_variable = settings("", &[(&key.variable(), text)]);
        assert_ne!(by_file, Settings::default(), "{}", key.path());
        assert_eq!(by_file, by_variable, "{}", key.path());
    }
}

#[test]
fn the_list_of_keys_is_the_settings() {
    let tree = serde_json::to_value(Settings::default()).unwrap();
    let mut in_structs = Vec::new();
    for (section, keys) in tree.as_object().unwrap() {
        if section != "tables" && section != "feeds" {
            in_structs.extend(keys.as_object().unwrap().keys().map(|it| format!("{section}.{it}")));
        }
    }
    let mut listed: Vec<_> = KEYS.iter().map(super::super::keys::Key::path).collect();
    listed.sort();
    in_structs.sort();
    assert_eq!(listed, in_structs);
}

#[test]
fn every_key_is_documented_with_variable_and_default() {
    let printed = Settings::default().to_toml_redacted();
    let mut section = String::new();
    for line in printed.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        }
        let Some((name, default)) = line.split_once(" = ") else { continue };
        let variable = format!("PGFEED__{}__{}", section.to_uppercase(), name.to_uppercase());
        let row = format!("| `{section}.{name}` | `{default}` | `{variable}` |");
        assert!(DOCUMENT.contains(&row), "docs/settings.md has no row that begins with\n{row}");
    }
    for (section, keys) in [("tables", TABLE_KEYS), ("feeds", FEED_KEYS)] {
        for (name, _) in keys {
            let row = format!("| `{section}.NAME.{name}` |");
            assert!(DOCUMENT.contains(&row), "docs/settings.md has no {row}");
        }
    }
}

#[test]
fn nothing_set_gives_the_defaults_of_the_protocol() {
    let loaded = Settings::load(None, std::iter::empty(), &|_| Vec::new()).unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let Settings { database, server, log, limits, access, .. } = loaded.settings;
    assert_eq!((database.pool_size, database.poll_ms), (8, 1_000));
    assert_eq!(server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((server.heartbeat_ms, server.ready_lag_max_ms), (15_000, 8_000));
    assert_eq!((server.drain_ms, server.retry_spread_ms), (10_000, 5_000));
    assert_eq!(access.default, Readers::Nobody);
    assert_eq!(log.retention, Span(Duration::from_hours(24)));
    assert_eq!(log.size_max, ByteSize(4 << 30));
    assert_eq!((limits.connections_max, limits.connections_per_ip_max), (20_000, 200));
    assert_eq!((limits.message_bytes_max, limits.queue_bytes_max), (65_536, 1_048_576));
}

#[test]
fn the_example_of_the_protocol_is_read_whole() {
    let settings = settings(EXAMPLE, &[]);
    let courses = &settings.tables["public.courses"];
    assert_eq!(courses.read, Readers::Anyone);
    assert_eq!(courses.rows.as_deref(), Some("status=eq.PUBLISHED"));
    assert_eq!(courses.columns.as_ref().unwrap().len(), 3);
    let registrations = &settings.tables["public.registrations"];
    assert_eq!(registrations.read, Readers::Nobody);
    assert_eq!(registrations.grants[0].read, Readers::Roles(vec!["student".to_owned()]));
    assert_eq!(registrations.grants[1].rows, None);
    let student = &settings.feeds["student"];
    assert_eq!((student.name.as_str(), student.path.as_str()), ("student", "student/{id}"));
    assert_eq!(student.require["sub"], ["{id}"]);
    assert_eq!(student.tables[0].filter.as_deref(), Some("student_id=eq.{id}"));
    assert_eq!(settings.server.trusted_proxies, ["10.0.0.0/8", "::1"]);
}

#[test]
fn entries_of_tables_and_feeds_are_set_by_variable_too() {
    let settings = settings(
        EXAMPLE,
        &[
            ("PGFEED__TABLES__public.courses__READ", "[\"Admin\", \"mentor\"]"),
            ("PGFEED__TABLES__Profiles__COLUMNS", "id, Name"),
            ("PGFEED__TABLES__Profiles__UNDURABLE", "yes"),
            ("PGFEED__TABLES__notes__GRANTS", "[{ read = \"authenticated\" }]"),
            ("PGFEED__FEEDS__menu__TABLES", "[{ table = \"courses\", events = [\"INSERT\"] }]"),
        ],
    );
    let courses = &settings.tables["public.courses"];
    assert_eq!(courses.read, Readers::Roles(vec!["Admin".to_owned(), "mentor".to_owned()]));
    assert_eq!(courses.rows.as_deref(), Some("status=eq.PUBLISHED"), "the file's key stays");
    let profiles = &settings.tables["Profiles"];
    assert_eq!(profiles.columns.as_deref().unwrap(), ["id", "Name"]);
    assert!(profiles.undurable);
    assert_eq!(settings.tables["notes"].grants[0].read, Readers::Authenticated);
    assert_eq!(settings.feeds["menu"].path, "menu");
    assert_eq!(settings.feeds["menu"].tables[0].events.as_deref(), Some(&[Operation::Insert][..]));
    let whole = super::settings("", &[("PGFEED__TABLES", "{ courses = { read = \"anyone\" } }")]);
    assert_eq!(whole.tables["courses"].read, Readers::Anyone);
}

#[test]
fn the_nearer_source_wins() {
    let file = "[database]\nurl = \"postgres://file/a\"\n[server]\nlisten = \"127.0.0.1:1\"";
    let url = |variables: &[_]| settings(file, variables).database.url.expose().to_owned();
    let general = ("DATABASE_URL", "postgres://variable/b");
    let exact = ("PGFEED__DATABASE__URL", "postgres://exact/c");
    assert_eq!(url(&[]), "postgres://file/a");
    assert_eq!(url(&[general]), general.1);
    assert_eq!(url(&[exact, general]), exact.1);
    assert_eq!(url(&[("DATABASE_URL", "")]), "postgres://file/a");
    let listen = |variables: &[_]| settings(file, variables).server.listen.to_string();
    assert_eq!(listen(&[("PORT", "5000")]), "127.0.0.1:5000");
    let both = [("PORT", "5000"), ("PGFEED__SERVER__LISTEN", "[::1]:2")];
    assert_eq!(listen(&both), "[::1]:5000");
    assert_eq!(listen(&[("PORT", "")]), "127.0.0.1:1");
}

#[test]
fn a_variable_that_is_no_key_changes_nothing_and_is_warned_about() {
    let loaded = load(
        "",
        &[
            ("PGFEED_SERVER__PORT", "1"),
            ("PGFEED_SERVER_LISTEN", "127.0.0.1:1"),
            ("PGFEED__SERVER__PROT", "secret-value"),
            ("PGFEEDX", "1"),
            ("PGFEED__TABLES__courses__REED", "anyone"),
            ("PGFEED_PG_BIN", "/usr/bin"),
            ("HOME", "/root"),
        ],
    )
    .unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.warnings.len(), 5, "{:?}", loaded.warnings);
    let all = loaded.warnings.join("\n");
    assert!(all.contains("PGFEED_SERVER_LISTEN is not a setting"), "{all}");
    assert!(all.contains("did you mean PGFEED__SERVER__LISTEN?"), "{all}");
    assert!(!all.contains("secret-value") && !all.contains("PG_BIN"), "{all}");
}
