//! Settings from environment variables: `PGFEED__SECTION__KEY`, `DATABASE_URL`, `PORT`.
//!
//! Entries of the two open sections have their name in the middle, written as it is:
//! `PGFEED__TABLES__courses__READ`. `PGFEED__TABLES` and `PGFEED__FEEDS` take a whole TOML table.
//! A variable that begins with `PGFEED` and is none of these changes nothing and is warned about.

use std::ffi::OsString;

use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};

use super::{
    error::Problem,
    keys::{FEED_KEYS, KEYS, Kind, TABLE_KEYS},
};

/// Read by other parts of the program, and no setting.
const ELSEWHERE: &[&str] = &["PGFEED_PG_BIN"];

/// One variable that sets one key.
#[derive(Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) path: Vec<String>,
    value: Value,
}

/// What the environment says about the settings.
#[derive(Default)]
pub(super) struct Environment {
    /// In the order in which they apply.
    pub(super) variables: Vec<Variable>,
    pub(super) port: Option<u16>,
    pub(super) warnings: Vec<String>,
    pub(super) problems: Vec<Problem>,
}

impl Environment {
    /// Picks the settings out of all variables. Those of others may hold any bytes.
    pub(super) fn read(all: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut found = Self::default();
        let mut ours: Vec<_> = all.filter(|(name, _)| is_ours(&name.to_string_lossy())).collect();
        // `DATABASE_URL` sorts before `PGFEED__DATABASE__URL`, which is the more exact of the two,
        // and a whole table before its own keys.
        ours.sort();
        for (name, text) in ours {
            match (name.into_string(), text.into_string()) {
                (Ok(name), Ok(text)) => found.take(name, &text),
                (Ok(name), Err(_)) => found.refuse(&name, "", "is not text in UTF-8"),
                (Err(name), _) => {
                    found.refuse(&name.to_string_lossy(), "", "has a name that is not UTF-8");
                }
            }
        }
        found
    }

    fn take(&mut self, name: String, text: &str) {
        if ELSEWHERE.contains(&name.as_str()) {
            return;
        }
        if name == "PORT" {
            match text.parse() {
                Ok(port) => self.port = Some(port),
                Err(_) if text.is_empty() => {}
                Err(_) => self.refuse(&name, "server.listen", "must be a port, 0 to 65535"),
            }
            return;
        }
        if name == "DATABASE_URL" && text.is_empty() {
            return;
        }
        let Some((path, kind)) = target(&name) else {
            self.warnings.push(unknown(&name));
            return;
        };
        match value(text, kind, &name) {
            Ok(value) => self.variables.push(Variable { name, path, value }),
            Err(reason) => self.refuse(&name, &path.join("."), reason),
        }
    }

    fn refuse(&mut self, name: &str, key: &str, reason: &str) {
        self.problems.push(Problem {
            origin: describe(name),
            key: key.to_owned(),
            reason: reason.to_owned(),
        });
    }
}

/// How a variable is named in a message.
pub(super) fn describe(name: &str) -> String {
    format!("environment variable {name}")
}

fn is_ours(name: &str) -> bool {
    name.starts_with("PGFEED") || name == "DATABASE_URL" || name == "PORT"
}

/// The key that a variable sets, and how its text is read.
fn target(name: &str) -> Option<(Vec<String>, Kind)> {
    let own = |parts: &[&str]| parts.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    if name == "DATABASE_URL" {
        return Some((own(&["database", "url"]), Kind::Text));
    }
    let (section, rest) = match name.strip_prefix("PGFEED__")?.split_once("__") {
        Some((section, rest)) => (section.to_ascii_lowercase(), Some(rest)),
        None => (name.strip_prefix("PGFEED__")?.to_ascii_lowercase(), None),
    };
    let entry_keys = match section.as_str() {
        "tables" => TABLE_KEYS,
        "feeds" => FEED_KEYS,
        _ => {
            let wanted = rest?.to_ascii_lowercase();
            let key = KEYS.iter().find(|it| it.section == section && it.name == wanted)?;
            return Some((own(&[key.section, key.name]), key.kind));
        }
    };
    let Some(rest) = rest else {
        return Some((own(&[&section]), Kind::Inline));
    };
    let (entry, leaf) = rest.rsplit_once("__")?;
    let leaf = leaf.to_ascii_lowercase();
    let (leaf, kind) = entry_keys.iter().find(|(name, _)| *name == leaf)?;
    Some((own(&[&section, entry, leaf]), *kind))
}

fn value(text: &str, kind: Kind, variable: &str) -> Result<Value, &'static str> {
    let as_text = || ValueKind::String(text.to_owned());
    let trimmed = text.trim();
    let kind = match kind {
        // What is no number stays text, so that the message shows it beside what was expected.
        Kind::Number => trimmed.parse().map_or_else(|_| as_text(), ValueKind::I64),
        Kind::Switch => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => ValueKind::Boolean(true),
            "false" | "no" | "off" | "0" => ValueKind::Boolean(false),
            _ => as_text(),
        },
        Kind::List | Kind::WordOrList if trimmed.starts_with('[') => return inline(text),
        Kind::Text | Kind::WordOrList => as_text(),
        Kind::List => {
            let entries = trimmed.split(',').map(str::trim).filter(|it| !it.is_empty());
            ValueKind::Array(entries.map(Value::from).collect())
        }
        Kind::Inline => return inline(text),
    };
    Ok(Value::new(Some(&variable.to_owned()), kind))
}

fn inline(text: &str) -> Result<Value, &'static str> {
    let file = File::from_str(&format!("it = {text}"), FileFormat::Toml);
    Config::builder()
        .add_source(file)
        .build()
        .and_then(|it| it.get::<Value>("it"))
        // The error quotes the text, which the caller must not.
        .map_err(
            |_quotes_it| "must be a value in TOML, such as [\"a\", \"b\"] or { key = \"value\" }",
        )
}

/// A warning that names what was probably meant.
fn unknown(name: &str) -> String {
    let letters = |text: &str| text.replace('_', "").to_ascii_lowercase();
    let variable = |key: &super::keys::Key| {
        format!("PGFEED__{}__{}", key.section.to_uppercase(), key.name.to_uppercase())
    };
    let meant = KEYS.iter().map(variable).find(|it| letters(it) == letters(name));
    match meant {
        Some(meant) => format!("{name} is not a setting and was ignored; did you mean {meant}?"),
        None => format!("{name} is not a setting and was ignored"),
    }
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The value may be a secret.
        write!(f, "{}", self.name)
    }
}

impl Source for Variable {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut value = self.value.clone();
        let mut names = self.path.iter().rev();
        let mut map = Map::new();
        if let Some(leaf) = names.next() {
            map.insert(leaf.clone(), value);
        }
        for name in names {
            value = Value::new(Some(&self.name), ValueKind::Table(map));
            map = Map::new();
            map.insert(name.clone(), value);
        }
        Ok(map)
    }
}
