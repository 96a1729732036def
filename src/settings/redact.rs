//! A connection string without its passwords.

use percent_encoding::percent_decode_str;

/// The words of a connection string whose values are secret.
const SECRET_WORDS: &[&str] = &["password", "sslpassword"];

/// `url` without passwords, or `None` where it cannot be taken apart with certainty.
pub(super) fn without_password(url: &str) -> Option<String> {
    let scheme = ["postgresql://", "postgres://"].into_iter().find(|it| url.starts_with(it));
    match scheme {
        Some(scheme) => from_url(scheme, &url[scheme.len()..]),
        None => from_words(url),
    }
}

fn from_url(scheme: &str, rest: &str) -> Option<String> {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (path, query) = match tail.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (tail, None),
    };
    // A slash in a password that was not encoded would put a part of it here.
    if path.contains('@') || query.is_some_and(|it| it.contains('@')) {
        return None;
    }
    let authority = match authority.rsplit_once('@') {
        Some((user, hosts)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{user}@{hosts}")
        }
        None => authority.to_owned(),
    };
    let is_open = |word: &&str| {
        let name = word.split_once('=').map_or(*word, |(name, _)| name);
        let name = percent_decode_str(name).decode_utf8_lossy();
        !SECRET_WORDS.contains(&name.as_ref())
    };
    let query = query.map(|it| it.split('&').filter(is_open).collect::<Vec<_>>().join("&"));
    Some(match query.filter(|it| !it.is_empty()) {
        Some(query) => format!("{scheme}{authority}{path}?{query}"),
        None => format!("{scheme}{authority}{path}"),
    })
}

/// `host=db password='a b' user=me`: a value may be quoted, and have escaped characters.
fn from_words(text: &str) -> Option<String> {
    let mut kept = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let end = value_end(after)?;
        if !SECRET_WORDS.contains(&name.trim_end()) {
            kept.push(format!("{}={}", name.trim_end(), &after[..end]));
        }
        rest = after[end..].trim_start();
    }
    Some(kept.join(" "))
}

/// Where the value at the start of `text` ends; `None` if its quote is never closed.
fn value_end(text: &str) -> Option<usize> {
    let is_quoted = text.starts_with('\'');
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(usize::from(is_quoted)) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\'' if is_quoted => return Some(at + 1),
            c if !is_quoted && c.is_whitespace() => return Some(at),
            _ => {}
        }
    }
    (!is_quoted).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_taken_out_wherever_it_stands() {
        for (url, shown) in [
            ("postgres://me:hunter2@db:5432/app", "postgres://me@db:5432/app"),
            ("postgres://me:hun@ter2@db/app", "postgres://me@db/app"),
            (
                "postgres://db/app?password=hunter2&sslmode=require",
                "postgres://db/app?sslmode=require",
            ),
            ("postgresql://db?pass%77ord=hunter2", "postgresql://db"),
            ("postgres://me@a,b:5433/app", "postgres://me@a,b:5433/app"),
            ("host=db password=hunter2 user=me", "host=db user=me"),
            ("host=db password = 'hunter2 \\' x' user=me", "host=db user=me"),
            ("password=hunt\\ er2 dbname='a b'", "dbname='a b'"),
        ] {
            assert_eq!(without_password(url).as_deref(), Some(shown));
        }
        for url in ["postgres://me:hun/ter2@db/app", "hunter2", "host=db password='hunter2"] {
            assert_eq!(without_password(url), None, "{url}");
        }
    }
}
