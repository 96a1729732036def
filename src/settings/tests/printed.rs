//! What is shown of the settings: all of them, and never a secret.

use super::{EXAMPLE, load, refusal, settings};
use crate::settings::{Secret, Settings};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn printed_settings_are_read_again_as_the_same_but_for_secrets() {
    let original = settings(EXAMPLE, &[("PGFEED__AUTH__ISSUER", "a \"b\" \\ \u{7f} \u{1} ü\n")]);
    let printed = original.to_toml_redacted();
    let mut expected = original;
    expected.auth.jwt_secret = Secret::default();
    expected.database.url = Secret::new("postgres://pgfeed@db/app?sslmode=verify-full");
    assert_eq!(settings(&printed, &[]), expected, "{printed}");
    assert_eq!(settings(&Settings::default().to_toml_redacted(), &[]), Settings::default());
}

#[test]
fn no_secret_is_printed_or_shown_by_debug() {
    let settings = settings(EXAMPLE, &[]);
    let printed = settings.to_toml_redacted();
    let shown = format!("{settings:?} {settings:#?} {:?}", load(EXAMPLE, &[]).unwrap());
    for secret in [SECRET, "hunter2"] {
        assert!(!printed.contains(secret), "{printed}");
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(printed.contains("jwt_secret = \"\"  # set and hidden"), "{printed}");
    assert!(printed.contains("# the password is set and hidden"), "{printed}");
}

#[test]
fn no_refusal_shows_a_secret() {
    let line_is_broken = "[auth]\njwt_secret = \"hunter2";
    let not_text = "[auth]\njwt_secret = [\"hunter2\"]\n[database]\nurl = { a = \"hunter2\" }";
    for text in [line_is_broken, not_text] {
        let shown = refusal(text, &[]);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
