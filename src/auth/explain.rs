//! Why a reader gets a row or not, step by step, for `pgfeed explain`.
//!
//! It walks the rules as a grant is made from them and says what each gave. For the owner's eyes:
//! it names hidden columns and filters, so it never answers a client.

use super::Claims;
use super::policy::{Policy, Readers, Rule};
use super::token::TokenError;
use crate::change::{Row, Table};
use crate::feed::filter::Placeholder;
use crate::feed::{Columns, Grant, Image};

/// The steps and their end, as sentences. Without a row: what may be seen of the table.
pub fn explain(
    policy: &Policy,
    token: Option<Result<&Claims, TokenError>>,
    table: &Table,
    row: Option<&Row>,
) -> Vec<String> {
    let claims = match token {
        None => None,
        Some(Ok(claims)) => Some(claims),
        Some(Err(error)) => {
            // A bad token is not the lack of one: who sends one means to be somebody.
            return vec![format!("The token is refused: {error}. Nothing can be read with it.")];
        }
    };
    let mut steps = vec![who(claims)];
    match policy.rules(&table.name) {
        Err(default) => steps.push(format!(
            "The policy has no entry for {}; the default is {}, which {}.",
            table.name,
            named(default),
            verdict(default.admit(claims), "means this reader", "does not mean this reader"),
        )),
        Ok(rules) => {
            // An entry with grants has a rule of its own as well, which mostly says nothing.
            let rules: Vec<_> =
                rules.iter().filter(|rule| rule.readers != Readers::Nobody).collect();
            let count = rules.len();
            steps.push(format!("The policy has {count} rule(s) for {}.", table.name));
            for (number, rule) in rules.into_iter().enumerate() {
                steps.push(step(number + 1, rule, table, claims, row));
            }
        }
    }
    steps.push(end(policy.grant(table, claims).as_ref(), table, row));
    steps
}

fn who(claims: Option<&Claims>) -> String {
    let Some(claims) = claims else { return String::from("The reader has no token.") };
    let subject = claims.subject().unwrap_or("nobody by name");
    match claims.roles() {
        [] => format!("The token is good and names {subject}, without a role."),
        roles => format!("The token is good and names {subject}, as {}.", roles.join(", ")),
    }
}

fn step(
    number: usize,
    rule: &Rule,
    table: &Table,
    claims: Option<&Claims>,
    row: Option<&Row>,
) -> String {
    let readers = named(&rule.readers);
    let at = if rule.place.is_empty() { String::new() } else { format!(" ({})", rule.place) };
    if !rule.readers.admit(claims) {
        return format!("Rule {number}{at} is for {readers}, not for this reader.");
    }
    let head = format!("Rule {number}{at} is for {readers}, this reader among them.");
    let columns = match rule.columns(table) {
        Ok(columns) => listed(&columns, table),
        Err(reason) => return format!("{head} It does not fit the table: {reason}."),
    };
    let Some((text, _)) = &rule.rows else {
        return format!("{head} It shows {columns} of every row.");
    };
    let head = format!("{head} It shows {columns} of rows with {text}{}.", bound(rule, claims));
    match (rule.bound(table, claims), row) {
        (Err(error), _) => format!("{head} That does not fit the table: {error}."),
        (Ok(Some(rows)), _) if rows.never().is_some() => {
            format!("{head} No row is one: {}.", rows.never().unwrap_or_default())
        }
        (Ok(Some(rows)), Some(row)) => {
            let image = Image::of(table, row);
            let verdict = verdict(rows.matches(&image), "one of them", "not one of them");
            let value = |place: &usize| {
                let value = image.value(*place).unwrap_or("missing");
                format!("{} is {}", table.columns[*place].name, shown(value))
            };
            let values: Vec<_> = rows.columns().iter().map(value).collect();
            format!("{head} In this row {}: it is {verdict}.", values.join(", "))
        }
        (Ok(_), _) => head,
    }
}

/// What the claims in a rule's filter are for this reader.
fn bound(rule: &Rule, claims: Option<&Claims>) -> String {
    let Some((_, filter)) = &rule.rows else { return String::new() };
    let mut said: Vec<String> = Vec::new();
    for placeholder in filter.placeholders() {
        let Placeholder::Claim(path) = placeholder else { continue };
        let value = claims.and_then(|it| it.get(path));
        let value = value.map_or("missing".to_owned(), ToString::to_string);
        let one = format!("{placeholder} is {}", shown(&value));
        if !said.contains(&one) {
            said.push(one);
        }
    }
    if said.is_empty() { String::new() } else { format!(", where {}", said.join(", ")) }
}

/// A value, or its start where it is long.
fn shown(value: &str) -> String {
    match value.char_indices().nth(60) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}…", &value[..end]),
    }
}

fn end(grant: Option<&Grant>, table: &Table, row: Option<&Row>) -> String {
    let Some(grant) = grant else {
        return format!("So the reader may not read {}.", table.name);
    };
    match row.map(|row| grant.sees(&Image::of(table, row))) {
        None => format!("So the reader may see {}.", listed(&grant.columns(), table)),
        Some(Some(columns)) => {
            format!("So the reader gets {} of this row.", listed(&columns, table))
        }
        Some(None) => String::from("So the reader does not get this row."),
    }
}

fn named(readers: &Readers) -> String {
    match readers {
        Readers::Nobody => String::from("nobody"),
        Readers::Authenticated => String::from("whoever has a token"),
        Readers::Anyone => String::from("anyone"),
        Readers::Roles(roles) => format!("the role {}", roles.join(" or ")),
    }
}

fn listed(columns: &Columns, table: &Table) -> String {
    if *columns == Columns::all(table.columns.len()) {
        return String::from("all columns");
    }
    let columns = columns.places().filter_map(|place| table.columns.get(place));
    columns.map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn verdict(holds: bool, yes: &'static str, no: &'static str) -> &'static str {
    if holds { yes } else { no }
}

#[cfg(test)]
mod tests {
    use super::explain;
    use crate::auth::policy::{Policy, Readers};
    use crate::auth::sample::{claims, policy, rule, table};
    use crate::auth::token::TokenError;
    use crate::change::Row;
    use serde_json::json;

    fn sample() -> Policy {
        let roles = |name: &str| Readers::Roles(vec![name.to_owned()]);
        policy(&[
            rule(roles("admin"), "", &[]),
            rule(roles("student"), "owner=eq.{claims.sub}", &["id", "title"]),
        ])
    }

    #[test]
    fn each_step_is_said() {
        let row = Row::new(r#"{"id":1,"owner":"ann","status":"x","title":"t","secret":"s"}"#);
        let ann = claims(json!({"sub": "ann", "role": "student"}));
        assert_eq!(
            explain(&sample(), Some(Ok(&ann)), &table(), Some(&row)),
            [
                "The token is good and names ann, as student.",
                "The policy has 2 rule(s) for public.courses.",
                "Rule 1 is for the role admin, not for this reader.",
                "Rule 2 is for the role student, this reader among them. It shows id, title of \
                 rows with owner=eq.{claims.sub}, where {claims.sub} is \"ann\". In this row owner \
                 is \"ann\": it is one of them.",
                "So the reader gets id, title of this row.",
            ],
        );
        let last = |token, row| {
            let steps = explain(&sample(), token, &table(), row);
            steps.last().cloned().unwrap_or_default()
        };
        let bob = claims(json!({"sub": "bob", "role": "student"}));
        assert_eq!(last(Some(Ok(&bob)), Some(&row)), "So the reader does not get this row.");
        assert_eq!(last(Some(Ok(&bob)), None), "So the reader may see id, title.");
        assert_eq!(last(None, Some(&row)), "So the reader may not read public.courses.");
        let admin = claims(json!({"role": "admin"}));
        assert_eq!(
            last(Some(Ok(&admin)), Some(&row)),
            "So the reader gets all columns of this row."
        );
        assert_eq!(
            last(Some(Err(TokenError::Expired)), Some(&row)),
            "The token is refused: the token has expired. Nothing can be read with it."
        );
    }

    #[test]
    fn a_missing_claim_and_the_default_are_said() {
        let student = claims(json!({"role": "student"}));
        let steps = explain(&sample(), Some(Ok(&student)), &table(), None);
        assert!(steps[3].contains("No row is one: "), "{}", steps[3]);
        let steps = explain(&Policy::default(), None, &table(), None);
        assert_eq!(
            steps[1],
            "The policy has no entry for public.courses; the default is nobody, which does not \
             mean this reader."
        );
    }
}
