//! What is wrong with settings, said by the rooms that use them. No file is read for it: what is
//! wrong with a key's file is told by the command that needs the key.

use super::access;
use crate::{
    auth::{address::Proxies, fetch, key::Key},
    settings::{Fault, Settings},
};

/// Every fault, with the key that has it.
pub fn faults(settings: &Settings) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut add = |key: String, reason: String| faults.push(Fault { key, reason });
    let auth = &settings.auth;
    if !auth.jwt_secret.is_empty()
        && let Err(error) = Key::secret(auth.jwt_secret.expose().as_bytes())
    {
        add("auth.jwt_secret".to_owned(), error.to_string());
    }
    if !auth.jwks_url.is_empty()
        && let Err(error) = fetch::address(&auth.jwks_url)
    {
        add("auth.jwks_url".to_owned(), error.to_string());
    }
    for (at, entry) in settings.server.trusted_proxies.iter().enumerate() {
        if let Err(error) = Proxies::new([entry]) {
            add(format!("server.trusted_proxies[{at}]"), error.to_string());
        }
    }
    for (name, entry) in &settings.tables {
        // One by one: each stops at its first fault.
        if let Err(error) = access::table_policy(name, entry) {
            add(format!("tables.{name}.{}", error.place), error.reason);
        }
    }
    let mut are_feeds_sound = true;
    for feed in settings.feeds.values() {
        if let Err(error) = access::single_feed(feed) {
            are_feeds_sound = false;
            add(error.key, error.reason);
        }
    }
    if are_feeds_sound && let Err(error) = access::feeds(settings) {
        add(error.key, error.reason);
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::faults;
    use crate::settings::Settings;

    fn told(text: &str) -> Result<Settings, String> {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let loaded = Settings::load(Some(file.path()), std::iter::empty(), &faults);
        let name = format!("{}: ", file.path().display());
        loaded.map(|it| it.settings).map_err(|error| error.to_string().replace(&name, ""))
    }

    /// A fragment that is wrong, the key that must be named, and a part of the reason.
    const WRONG: &[(&str, &str, &str)] = &[
        ("[auth]\njwt_secret = \"short\"", "auth.jwt_secret", "has 5 bytes, 32 are the least"),
        ("[auth]\njwks_url = \"http://a.example/\"", "auth.jwks_url", "https://"),
        ("[auth]\njwks_url = \"https://u:p@a.example/\"", "auth.jwks_url", "user name"),
        ("[auth]\njwks_url = \"a\"", "auth.jwks_url", "neither https"),
        ("[server]\ntrusted_proxies = [\"10/8\"]", "server.trusted_proxies[0]", "10.0.0.0/8"),
        ("[tables.a]\nrows = \"a=neq.{claim.sub}\"", "tables.a.rows", "{claims.NAME}"),
        ("[tables.a]\nrows = \"a\"", "tables.a.rows", "column=operator.value"),
        (
            "[[tables.a.grants]]\nread = \"anyone\"\nrows = \"a=eq\"",
            "tables.a.grants[0].rows",
            "expected .",
        ),
        ("[feeds.a]\ntables = []", "feeds.a.tables", "names no table"),
        ("[feeds.changes]\ntables = [{ table = \"x\" }]", "feeds.changes.path", "built in"),
        ("[feeds.a]\npath = \"a//b\"\ntables = [{ table = \"x\" }]", "feeds.a.path", "no part"),
        (
            "[feeds.a]\npath = \"a/{i.j}\"\ntables = [{ table = \"x\" }]",
            "feeds.a.path",
            "placeholder",
        ),
        ("[feeds.a]\npath = \"a/{i}/{i}\"\ntables = [{ table = \"x\" }]", "feeds.a.path", "twice"),
        (
            "[feeds.a]\npath = \"a\"\ntables = [{ table = \"x\", filter = \"a=eq.{id}\" }]",
            "feeds.a.tables[0].filter",
            "no placeholder {id}",
        ),
        (
            "[feeds.a]\nrequire = { sub = \"{id}\" }\ntables = [{ table = \"x\" }]",
            "feeds.a.require.sub",
            "no placeholder of the path",
        ),
        (
            "[feeds.a]\nrequire = { sub = [] }\ntables = [{ table = \"x\" }]",
            "feeds.a.require.sub",
            "one of no values",
        ),
        (
            "[feeds.a]\ntables = [{ table = \"x\" }, { table = \"public.x\" }]",
            "feeds.a.tables[1].table",
            "stands twice",
        ),
        (
            "[feeds.a]\ntables = [{ table = \"x\" }]\n\
             [feeds.b]\npath = \"a\"\ntables = [{ table = \"x\" }]",
            "feeds.b.path",
            "the feed a",
        ),
    ];

    #[test]
    fn what_a_room_refuses_is_told_by_its_key() {
        for (text, key, reason) in WRONG {
            let error = told(text).expect_err(text);
            assert!(error.starts_with(&format!("{key}: ")), "{text}\nis told as {error}");
            assert!(error.contains(reason), "{text}\nis told as {error}");
            assert_eq!(error.lines().count(), 1, "{text}\nis told as {error}");
            assert!(
                !error.contains("short") && !error.contains("u:p"),
                "no secret is told: {error}"
            );
        }
    }

    #[test]
    fn what_a_room_takes_is_taken() {
        for text in [
            "[auth]\njwks_url = \"http://127.1.2.3/\"",
            "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]",
            "[feeds.a]\npath = \"v1.0/{student-id}\"\n\
             tables = [{ table = \"x\", filter = \"a=eq.{student-id}\" }]",
            "[feeds.a]\npath = \"/a/\"\ntables = [{ table = \"x\" }]",
        ] {
            assert_eq!(told(text).map(drop), Ok(()), "{text}");
        }
    }

    #[test]
    fn the_variable_is_named() {
        let variable = ("PGFEED__AUTH__JWT_SECRET".into(), "hunter2".into());
        let error = Settings::load(None, std::iter::once(variable), &faults);
        let error = error.expect_err("a short secret").to_string();
        let start = "environment variable PGFEED__AUTH__JWT_SECRET: auth.jwt_secret: ";
        assert!(error.starts_with(start) && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let error = told(
            "[auth]\njwt_secret = \"short\"\n[database]\npool_size = 0\n[tables.a]\nrows = \"x\"\n\
             [feeds.a]\ntables = []\n[feeds.b]\npath = \"{id}\"\ntables = [{ table = \"x\" }]",
        );
        assert_eq!(error.expect_err("wrong").lines().count(), 5);
    }
}
