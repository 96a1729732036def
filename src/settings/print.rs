//! The settings in force as TOML, for `pgfeed config`.
//!
//! A secret is left out and a comment says so: a stand-in that can be read back would sooner or
//! later be used as the secret itself.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Settings, keys::KEYS, redact::without_password};

pub(super) fn to_toml(settings: &Settings) -> String {
    let tree = serde_json::to_value(settings).expect("settings have a form in JSON");
    let mut out = String::new();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let gap = if out.is_empty() { "" } else { "\n" };
            line(&mut out, format_args!("{gap}[{section}]"));
        }
        let (value, note) = shown(settings, &tree, &key.path());
        line(&mut out, format_args!("{} = {}{note}", key.name, toml(&value)));
    }
    for section in ["tables", "feeds"] {
        for (name, entry) in tree[section].as_object().into_iter().flatten() {
            line(&mut out, format_args!("\n[{section}.{}]", quoted(name)));
            pairs(&mut out, entry);
        }
    }
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a string cannot fail");
}

fn pairs(out: &mut String, value: &Value) {
    for (name, value) in value.as_object().into_iter().flatten() {
        if !value.is_null() {
            line(out, format_args!("{name} = {}", toml(value)));
        }
    }
}

/// A key's value, and a comment where something was left out of it.
fn shown(settings: &Settings, tree: &Value, key: &str) -> (Value, &'static str) {
    let url = settings.database.url.expose();
    match key {
        "database.url" => match without_password(url) {
            Some(open) if open == url => (json!(open), ""),
            Some(open) => (json!(open), "  # the password is set and hidden"),
            None => (json!(""), "  # set and hidden"),
        },
        "auth.jwt_secret" if !settings.auth.jwt_secret.is_empty() => {
            (json!(""), "  # set and hidden")
        }
        _ => (tree.pointer(&pointer(key)).cloned().unwrap_or_default(), ""),
    }
}

fn pointer(key: &str) -> String {
    format!("/{}", key.replace('.', "/"))
}

/// One value in TOML's words.
fn toml(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".to_owned(),
        Value::Bool(it) => it.to_string(),
        Value::Number(it) => it.to_string(),
        Value::String(it) => quoted(it),
        Value::Array(entries) => {
            format!("[{}]", entries.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let pair =
                |(name, value): (&String, &Value)| format!("{} = {}", quoted(name), toml(value));
            let pairs: Vec<_> = entries.iter().filter(|it| !it.1.is_null()).map(pair).collect();
            if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
        }
    }
}

/// Text in double quotes. JSON's escapes are TOML's, but TOML also wants DEL escaped.
fn quoted(text: &str) -> String {
    json!(text).to_string().replace('\u{7f}', "\\u007f")
}
