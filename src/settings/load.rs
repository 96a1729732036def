//! From file and variables to settings that passed every check.

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use config::{Config, ConfigError, File, FileFormat};

use super::{
    Fault, Loaded, Problem, Settings, SettingsError, check,
    environment::{Environment, describe},
    keys::SECRETS,
};

pub(super) fn load(
    config_file: Option<&Path>,
    variables: impl Iterator<Item = (OsString, OsString)>,
    judge: &dyn Fn(&Settings) -> Vec<Fault>,
) -> Result<Loaded, SettingsError> {
    let environment = Environment::read(variables);
    // A variable that can't be read leaves its key as the file has it, which may be wrong as well.
    let mut problems = environment.problems.clone();
    let file = match config_file {
        Some(path) => {
            let wrap = |source| SettingsError::Read { path: path.to_owned(), source };
            Some((path, fs::read_to_string(path).map_err(wrap)?))
        }
        None => None,
    };
    let origins = Origins::new(config_file, &environment);
    let merged = merge(file, &environment).and_then(|merged| deserialize(merged, &origins));
    let mut settings = match merged {
        Ok(settings) => settings,
        Err(problem) => {
            problems.push(problem);
            return Err(SettingsError::Refused(problems));
        }
    };
    if let Some(port) = environment.port {
        settings.server.listen = SocketAddr::new(settings.server.listen.ip(), port);
    }
    for (name, feed) in &mut settings.feeds {
        feed.name.clone_from(name);
        if feed.path.is_empty() {
            feed.path.clone_from(name);
        }
    }
    let problem = |fault: Fault| origins.problem(fault.key, fault.reason);
    problems.extend(judge(&settings).into_iter().map(problem));
    // What is no path at all, say, is not told a second time for what stands in it.
    let told: Vec<String> = problems.iter().map(|it| it.key.clone()).collect();
    let further = check::faults(&settings).into_iter().filter(|it| !told.contains(&it.key));
    problems.extend(further.map(problem));
    if !problems.is_empty() {
        return Err(SettingsError::Refused(problems));
    }
    let mut warnings = environment.warnings;
    warnings.extend(check::warnings(&settings));
    Ok(Loaded { settings, warnings, origins })
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
fn deserialize(merged: Config, origins: &Origins) -> Result<Settings, Problem> {
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
#[derive(Clone, Debug, Default)]
pub struct Origins {
    file: Option<PathBuf>,
    /// Names and keys, in the order in which they apply.
    variables: Vec<(String, String)>,
}

impl Origins {
    fn new(file: Option<&Path>, environment: &Environment) -> Self {
        let variables = environment.variables.iter().map(|it| (it.name.clone(), it.path.join(".")));
        Self { file: file.map(Path::to_owned), variables: variables.collect() }
    }

    fn problem(&self, key: String, reason: String) -> Problem {
        Problem { origin: self.of(&key), key, reason }
    }

    /// The variable or the file that a key, or a part of its value, is from.
    pub fn of(&self, key: &str) -> String {
        let sets = |path: &str| {
            key == path || key.strip_prefix(path).is_some_and(|it| it.starts_with(['.', '[']))
        };
        let variable = self.variables.iter().rfind(|(_, path)| sets(path));
        match (variable, &self.file) {
            (Some((name, _)), _) => describe(name),
            (None, Some(file)) => file.display().to_string(),
            (None, None) => "settings".to_owned(),
        }
    }
}
