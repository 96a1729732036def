//! From file and variables to settings that passed every check.

use std::{ffi::OsString, fs, net::SocketAddr, path::Path};

use config::{Config, ConfigError, File, FileFormat};

use super::{
    Loaded, Problem, Settings, SettingsError, check,
    environment::{Environment, describe},
    keys::SECRETS,
};

pub(super) fn load(
    config_file: Option<&Path>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Loaded, SettingsError> {
    let environment = Environment::read(variables);
    if !environment.problems.is_empty() {
        return Err(SettingsError::Refused(environment.problems));
    }
    let file = match config_file {
        Some(path) => {
            let wrap = |source| SettingsError::Read { path: path.to_owned(), source };
            Some((path, fs::read_to_string(path).map_err(wrap)?))
        }
        None => None,
    };
    let origins = Origins { file: config_file, environment: &environment };
    let mut settings = merge(file, &environment)
        .and_then(|merged| deserialize(merged, &origins))
        .map_err(|problem| SettingsError::Refused(vec![problem]))?;
    if let Some(port) = environment.port {
        settings.server.listen = SocketAddr::new(settings.server.listen.ip(), port);
    }
    for (name, feed) in &mut settings.feeds {
        feed.name.clone_from(name);
        if feed.path.is_empty() {
            feed.path.clone_from(name);
        }
    }
    let faults = check::faults(&settings);
    if !faults.is_empty() {
        let problem = |fault: check::Fault| origins.problem(fault.key, fault.reason);
        return Err(SettingsError::Refused(faults.into_iter().map(problem).collect()));
    }
    let mut warnings = environment.warnings;
    warnings.extend(check::warnings(&settings));
    Ok(Loaded { settings, warnings })
}

fn merge(file: Option<(&Path, String)>, environment: &Environment) -> Result<Config, Problem> {
    let mut builder = Config::builder();
    let mut origin = String::new();
    if let Some((path, text)) = file {
        origin = path.display().to_string();
        builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
    }
    for variable in &environment.variables {
        builder = builder.add_source(variable.clone());
    }
    let refuse = |error: ConfigError| Problem {
        origin,
        key: String::new(),
        reason: without_excerpt(&error.to_string()),
    };
    builder.build().map_err(refuse)
}

/// A TOML error quotes the line that it is about, which may be the one with a secret.
fn without_excerpt(error: &str) -> String {
    let is_excerpt = |line: &&str| !line.contains(" |") && !line.trim().is_empty();
    error.lines().filter(is_excerpt).map(str::trim).collect::<Vec<_>>().join(": ")
}

/// By way of JSON values, because `config` itself would take `8.4` or `true` for a number.
fn deserialize(merged: Config, origins: &Origins<'_>) -> Result<Settings, Problem> {
    let tree: serde_json::Value = merged
        .try_deserialize()
        .map_err(|error| origins.problem(String::new(), error.to_string()))?;
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let key = error.path().to_string();
        let reason = if SECRETS.contains(&key.as_str()) {
            "must be text".to_owned()
        } else {
            error.into_inner().to_string().replace("unknown field", "unknown key")
        };
        origins.problem(if key == "." { String::new() } else { key }, reason)
    })
}

/// Tells where a key was written.
struct Origins<'a> {
    file: Option<&'a Path>,
    environment: &'a Environment,
}

impl Origins<'_> {
    fn problem(&self, key: String, reason: String) -> Problem {
        Problem { origin: self.of(&key), key, reason }
    }

    fn of(&self, key: &str) -> String {
        let sets = |path: &[String]| {
            let path = path.join(".");
            key == path || key.strip_prefix(&path).is_some_and(|it| it.starts_with(['.', '[']))
        };
        let variable = self.environment.variables.iter().rfind(|it| sets(&it.path));
        match (variable, self.file) {
            (Some(variable), _) => describe(&variable.name),
            (None, Some(file)) => file.display().to_string(),
            (None, None) => "settings".to_owned(),
        }
    }
}
