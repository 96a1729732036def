//! The settings as an operator meets them: files, variables, refusals.

mod every_key;
mod printed;
mod refusals;

use std::io::Write as _;

use tempfile::NamedTempFile;

use super::{Loaded, Settings, SettingsError};

/// The example of the protocol page: every section, with values that differ from the defaults.
const EXAMPLE: &str = r#"
[database]
url = "postgres://pgfeed:hunter2@db/app?sslmode=verify-full"
pool_size = 9
[server]
listen = "127.0.0.1:8081"
allowed_origins = ["https://app.example"]
trusted_proxies = ["10.0.0.0/8", "::1"]
[auth]
jwt_secret = "0123456789abcdef0123456789abcdef"
[access]
default = "authenticated"
[tables."public.courses"]
read = "anyone"
rows = "status=eq.PUBLISHED"
columns = ["id", "title", "status"]
[[tables."public.registrations".grants]]
read = ["student"]
rows = "student_id=eq.{claims.sub}"
[[tables."public.registrations".grants]]
read = ["admin", "mentor"]
[feeds.student]
path = "student/{id}"
require = { role = ["student"], sub = "{id}" }
tables = [{ table = "registrations", filter = "student_id=eq.{id}" }, { table = "courses" }]
[log]
retention = "36h"
size_max = "1GB"
"#;

fn file(text: &str) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, SettingsError> {
    let file = file(text);
    let variables = variables.iter().map(|&(name, value)| (name.into(), value.into()));
    Settings::load(Some(file.path()), variables, &|_| Vec::new())
}

fn settings(text: &str, variables: &[(&str, &str)]) -> Settings {
    load(text, variables).unwrap().settings
}

fn refusal(text: &str, variables: &[(&str, &str)]) -> String {
    load(text, variables).unwrap_err().to_string()
}
