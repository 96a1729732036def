//! What is refused, and that the message names where, which key, and why.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::Path};

use super::{file, load, refusal};
use crate::settings::{Settings, SettingsError};

#[test]
fn a_variable_of_ours_that_is_no_text_is_refused_and_others_may_be() {
    let odd = || OsString::from_vec(b"\xff\xfe".to_vec());
    let named = |name: &str| (OsString::from(name), odd());
    let others = [named("LS_COLORS"), named("PGFEE"), (odd(), odd())];
    let loaded = Settings::load(None, others.into_iter(), &|_| Vec::new()).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    for name in ["PGFEED__ACCESS__DEFAULT", "PGFEED__TABLES__notes__ROWS", "DATABASE_URL", "PORT"] {
        let error = Settings::load(None, std::iter::once(named(name)), &|_| Vec::new())
            .unwrap_err()
            .to_string();
        assert_eq!(error, format!("environment variable {name}: is not text in UTF-8"));
    }
    let name = OsString::from_vec(b"PGFEED__\xff".to_vec());
    let error =
        Settings::load(None, std::iter::once((name, "x".into())), &|_| Vec::new()).unwrap_err();
    assert!(error.to_string().ends_with("has a name that is not UTF-8"), "{error}");
}

/// A fragment that is wrong, the key that must be named, and a part of the reason.
const WRONG: &[(&str, &str, &str)] = &[
    // Unknown keys, at every level.
    ("[sever]", "sever", "unknown key `sever`, expected one of `database`"),
    ("[server]\nprot = 1", "server.prot", "unknown key `prot`, expected one of `listen`"),
    ("[tables.a]\nreed = \"anyone\"", "tables.a.reed", "unknown key `reed`"),
    ("[[tables.a.grants]]\nread = \"anyone\"\nrow = \"\"", "tables.a.grants[0].row", "`row`"),
    ("[feeds.a]\ntables = []\nrequires = {}", "feeds.a.requires", "unknown key `requires`"),
    ("[feeds.a]\ntables = [{ tabel = \"x\" }]", "feeds.a.tables[0].tabel", "`tabel`"),
    // Wrong kinds.
    ("[database]\npool_size = \"8\"", "database.pool_size", "expected usize"),
    ("[database]\npool_size = 8.5", "database.pool_size", "floating point"),
    ("[database]\npool_size = true", "database.pool_size", "boolean"),
    ("[database]\npool_size = -1", "database.pool_size", "-1"),
    ("[database]\nurl = 5", "database.url", "must be text"),
    ("[server]\nconsole = 1", "server.console", "expected a boolean"),
    ("[server]\nallowed_origins = \"*\"", "server.allowed_origins", "expected a sequence"),
    ("[telemetry]\nformat = \"xml\"", "telemetry.format", "`text` or `json`"),
    ("[[tables.a.grants]]\nrows = \"a=eq.1\"", "tables.a.grants[0]", "missing field `read`"),
    ("[feeds.a]\npath = \"a\"", "feeds.a", "missing field `tables`"),
    // Wrong values.
    ("[database]\npool_size = 0", "database.pool_size", "0 is not between 1 and 1000"),
    ("[server]\nlisten = \"8080\"", "server.listen", "address with a port"),
    ("[server]\nadmin_listen = \"127.0.0.1:8080\"", "server.admin_listen", "same address"),
    ("[server]\nallowed_origins = [\"a\"]", "server.allowed_origins[0]", "scheme"),
    ("[auth]\njwks_url = \"https://a/\"\njwks_file = \"f\"", "auth", "only one key source"),
    ("[auth]\nrole_claim = \"\"", "auth.role_claim", "name a claim"),
    ("[server]\nlisten = \"0.0.0.0:8080\"", "auth", "auth.allow_unset"),
    ("[access]\ndefault = \"all\"", "access.default", "none of nobody, authenticated, anyone"),
    ("[access]\ndefault = [\"admin\"]", "access.default", "table by table"),
    ("[log]\nretention = \"24\"", "log.retention", "such as 500ms"),
    ("[log]\nretention = \"10ms\"", "log.retention", "10 is not between 1000"),
    ("[log]\nsize_max = \"4 potatoes\"", "log.size_max", "such as 65536"),
    ("[log]\nrow_bytes_max = \"1GB\"", "log.row_bytes_max", "not between"),
    ("[telemetry]\nlevel = \"\"", "telemetry.level", "empty"),
    // Policies.
    ("[tables.\".a\"]", "tables..a", "not a table's name"),
    ("[tables.a]\n[tables.\"public.a\"]", "tables.public.a", "same table as `a`"),
    ("[tables.a]\nread = \"admin\"", "tables.a.read", "[\"admin\"]"),
    ("[tables.a]\nread = []", "tables.a.read", "empty list"),
    ("[tables.a]\nrows = \" \"", "tables.a.rows", "leave it out"),
    ("[tables.a]\ncolumns = []", "tables.a.columns", "leave it out"),
    ("[tables.a]\ncolumns = [\"x\", \"x\"]", "tables.a.columns", "`x` twice"),
    // Feeds.
    ("[feeds.a]\npath = \"{id}\"\ntables = [{ table = \"x\" }]", "feeds.a.path", "fixed segment"),
    (
        "[feeds.a]\npath = \"a/{id}\"\ntables = [{ table = \"x\" }]",
        "feeds.a.path",
        "{id} is used in no",
    ),
    ("[feeds.a]\ntables = [{ table = \"x\", events = [] }]", "feeds.a.tables[0].events", "empty"),
    (
        "[feeds.a]\ntables = [{ table = \"x\", events = [\"UPSERT\"] }]",
        "feeds.a.tables[0].events[0]",
        "UPSERT",
    ),
];

#[test]
fn a_wrong_file_is_refused_by_its_name_key_and_reason() {
    for (text, key, reason) in WRONG {
        let file = file(text);
        let error = Settings::load(Some(file.path()), std::iter::empty(), &|_| Vec::new());
        let error = error.expect_err(text).to_string();
        let start = format!("{}: {key}: ", file.path().display());
        assert!(error.starts_with(&start), "{text}\nis told as {error}");
        assert!(error.contains(reason), "{text}\nis told as {error}");
    }
}

#[test]
fn a_wrong_variable_is_refused_by_its_name() {
    for (name, value, key) in [
        ("PGFEED__DATABASE__POOL_SIZE", "many", "database.pool_size"),
        ("PGFEED__DATABASE__POOL_SIZE", "0", "database.pool_size"),
        ("PGFEED__SERVER__CONSOLE", "maybe", "server.console"),
        ("PGFEED__SERVER__ALLOWED_ORIGINS", "a,b", "server.allowed_origins[0]"),
        ("PGFEED__TABLES__a__READ", "[\"x\"", "tables.a.read"),
        ("PGFEED__TABLES__a__READ", "everyone", "tables.a.read"),
        ("PGFEED__FEEDS", "5 =", "feeds"),
        ("PORT", "http", "server.listen"),
    ] {
        let error = refusal("", &[(name, value)]);
        let start = format!("environment variable {name}: {key}: ");
        assert!(error.starts_with(&start), "{name}={value}\nis told as {error}");
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let error = refusal("[database]\npool_size = 0\npoll_ms = 0\n[limits]\nsnapshots_max = 0", &[]);
    assert_eq!(error.lines().count(), 3, "{error}");
    // A variable that can't be read hides nothing of the file.
    let error = refusal("[database]\npool_size = 0", &[("PORT", "http"), ("PGFEED__FEEDS", "=")]);
    assert_eq!(error.lines().count(), 3, "{error}");
    let error = refusal("[database]\npool_size = \"x\"", &[("PORT", "http")]);
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_the_line() {
    let error = refusal("[server]\nlisten = 127.0.0.1", &[]);
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error =
        Settings::load(Some(Path::new("/nowhere/pgfeed.toml")), std::iter::empty(), &|_| {
            Vec::new()
        });
    assert!(matches!(error, Err(SettingsError::Read { .. })));
    assert!(error.unwrap_err().to_string().contains("/nowhere/pgfeed.toml"));
}

#[test]
fn serving_others_without_tokens_needs_a_switch_and_warns() {
    let open = "[server]\nlisten = \"0.0.0.0:8080\"\n[auth]\nallow_unset = true";
    let loaded = load(open, &[]).unwrap();
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].contains("no token key"), "{:?}", loaded.warnings);
    let keyed = "[server]\nlisten = \"0.0.0.0:8080\"\n[auth]\njwks_file = \"keys.json\"";
    assert_eq!(load(keyed, &[]).unwrap().warnings, Vec::<String>::new());
}
