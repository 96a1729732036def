//! The files that libpq looks into: services and passwords.

use std::{fs, io, path::Path, path::PathBuf};

use super::{error::ConnectError, words::Words};

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A file below the user's home, if there is a home.
pub(super) fn in_home(environment: Environment<'_>, name: &str) -> Option<PathBuf> {
    environment("HOME").filter(|it| !it.is_empty()).map(|home| Path::new(&home).join(name))
}

/// The words of service `name`.
pub(super) fn service(name: &str, environment: Environment<'_>) -> Result<Words, ConnectError> {
    let own = environment("PGSERVICEFILE").map(PathBuf::from);
    let own = own.or_else(|| in_home(environment, ".pg_service.conf"));
    let system = environment("PGSYSCONFDIR").map(|it| Path::new(&it).join("pg_service.conf"));
    for path in own.into_iter().chain(system) {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(ConnectError::File { word: "service", path, source }),
        };
        if let Some(words) = find_service(&text, name)? {
            return Ok(words);
        }
    }
    Err(ConnectError::word("service", format!("names `{name}`, which no service file has")))
}

fn find_service(text: &str, name: &str) -> Result<Option<Words>, ConnectError> {
    let mut found: Option<Words> = None;
    let lines = text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    for line in lines {
        if let Some(section) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            if found.is_some() {
                break;
            }
            found = (section == name).then(Words::default);
        } else if let Some(words) = &mut found {
            let Some((word, value)) = line.split_once('=') else {
                let reason = format!("has a line that is not key=value in service `{name}`");
                return Err(ConnectError::word("service", reason));
            };
            words.set(word.trim(), value.trim())?;
        }
    }
    Ok(found)
}

/// The passwords of a password file, or why it is not used.
pub(super) struct Passwords {
    entries: Vec<[String; 5]>,
    pub(super) warning: Option<String>,
}

impl Passwords {
    /// Reads the file. As in libpq one that is missing is none, and one that others may read is
    /// not used, because its secrets are known to them.
    pub(super) fn read(path: &Path) -> Self {
        let none = |warning| Self { entries: Vec::new(), warning };
        let Ok(metadata) = fs::metadata(path) else { return none(None) };
        if !metadata.is_file() {
            return none(Some(format!("password file {} is not a plain file", path.display())));
        }
        if is_open_to_others(&metadata) {
            let path = path.display();
            return none(Some(format!(
                "password file {path} can be read by others and was not used; chmod 0600 {path}"
            )));
        }
        match fs::read_to_string(path) {
            Ok(text) => Self { entries: text.lines().filter_map(entry).collect(), warning: None },
            Err(error) => {
                none(Some(format!("password file {} cannot be read: {error}", path.display())))
            }
        }
    }

    /// The first password that fits host, port, database and user.
    pub(super) fn find(&self, wanted: [&str; 4]) -> Option<&str> {
        let fits = |entry: &&[String; 5]| {
            entry
                .iter()
                .zip(wanted)
                .all(|(field, wanted)| field == "*" || unescaped(field) == wanted)
        };
        let [.., password] = self.entries.iter().find(fits)?;
        Some(password)
    }
}

#[cfg(unix)]
fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

/// `host:port:database:user:password`; a colon or backslash in a field is escaped. The password
/// is without escapes already, the others are not, so that `\*` and `*` stay apart.
fn entry(line: &str) -> Option<[String; 5]> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields: [String; 5] = Default::default();
    let mut at = 0;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' if at < 4 => at += 1,
            '\\' => {
                if at < 4 {
                    fields[at].push('\\');
                }
                fields[at].extend(chars.next());
            }
            c => fields[at].push(c),
        }
    }
    (at == 4).then_some(fields)
}

fn unescaped(field: &str) -> String {
    let mut text = String::new();
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fitting_line_of_a_password_file_counts() {
        let text = "# comment\n\
                    db:5432:app:me:first\n\
                    db:*:*:me:sec\\:ond\\\\\n\
                    a\\:b:*:*:*:third\n\
                    short:line\n\
                    *:*:*:*:last";
        let passwords =
            Passwords { entries: text.lines().filter_map(entry).collect(), warning: None };
        for (wanted, password) in [
            (["db", "5432", "app", "me"], "first"),
            (["db", "5433", "app", "me"], "sec:ond\\"),
            (["a:b", "1", "x", "y"], "third"),
            (["other", "1", "x", "y"], "last"),
        ] {
            assert_eq!(passwords.find(wanted), Some(password), "{wanted:?}");
        }
    }

    #[test]
    fn a_service_is_its_section_and_no_more() {
        let text = "[a]\nhost=one\n\n# c\n[b]\nhost = two\nport=5\n[c]\nhost=three\n";
        let words = find_service(text, "b").unwrap().unwrap();
        assert_eq!((words.get("host"), words.get("port")), (Some("two"), Some("5")));
        assert!(find_service(text, "d").unwrap().is_none());
        assert!(find_service("[a]\nhots=x", "a").is_err());
    }
}
