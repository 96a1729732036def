//! Tables as TypeScript. The same tables always give the same text, so that a repository's diff
//! shows what a migration changed.

use std::fmt::Write as _;

use crate::{
    change::TableName,
    source::describe::{Column, Described, Shape},
};

const HEAD: &str = "\
// Made by `pgfeed types` from the tables on the feed. Do not edit: run it again.
//
// Values are what the client package makes of PostgreSQL's JSON. Times, uuid, bytea and the like
// are text. A `numeric` is rounded to a double. An integer beyond 2^53 comes as a string of its
// digits, NaN and Infinity as text, and the elements of an array may be null";

const LOOSE: &str = ":
// `pgfeed types --exact` says so in the types as well.
";

const EXACT: &str = ".\n";

/// The names that the text itself uses.
const TAKEN: [&str; 2] = ["Tables", "Record"];

/// A module with an interface for each table, registered with the client package.
pub(super) fn module(tables: &[Described], is_exact: bool) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(if is_exact { EXACT } else { LOOSE });
    let names = names(tables);
    for (table, name) in tables.iter().zip(&names) {
        text.push('\n');
        interface(&mut text, table, name, is_exact);
    }
    text.push_str(
        "\n/** The tables, by the names that clients use. */\nexport interface Tables {\n",
    );
    for (table, name) in tables.iter().zip(&names) {
        line(&mut text, &format!("  {}: {name}", property(&spoken(&table.name))));
    }
    text.push_str(
        "}\n\ndeclare module 'pgfeed' {\n  interface Register {\n    tables: Tables\n  }\n}\n",
    );
    text
}

fn interface(text: &mut String, table: &Described, name: &str, is_exact: bool) {
    let key = match table.key.as_slice() {
        [] => "Without a primary key: it can be followed, not kept as a set.".to_owned(),
        key => format!("Primary key: {}.", key.join(", ")),
    };
    let said = table.comment.as_deref().map(sentence).unwrap_or_default();
    line(text, &doc("", &format!("{said}Table {}. {key}", table.name)));
    line(text, &format!("export interface {name} {{"));
    for column in &table.columns {
        let said = column.comment.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
        let beyond =
            if column.shape == Shape::BigInt { "; beyond 2^53 a string of its digits" } else { "" };
        line(text, &doc("  ", &format!("{}{beyond}{said}", column.type_name)));
        let value = value(column, is_exact);
        line(text, &format!("  readonly {}: {value}", property(&column.name)));
    }
    text.push_str("}\n");
}

fn value(column: &Column, is_exact: bool) -> String {
    let value = shape(&column.shape, is_exact);
    // `unknown` has null in it already.
    if column.is_nullable && column.shape != Shape::Any { format!("{value} | null") } else { value }
}

fn shape(shape: &Shape, is_exact: bool) -> String {
    match shape {
        Shape::BigInt | Shape::Number if is_exact => "number | string".to_owned(),
        Shape::Int | Shape::BigInt | Shape::Number => "number".to_owned(),
        Shape::Bool => "boolean".to_owned(),
        Shape::Text => "string".to_owned(),
        Shape::Any => "unknown".to_owned(),
        Shape::Object => "Record<string, unknown>".to_owned(),
        Shape::Enum(labels) if labels.is_empty() => "never".to_owned(),
        Shape::Enum(labels) => {
            let labels: Vec<String> = labels.iter().map(|it| literal(it)).collect();
            labels.join(" | ")
        }
        Shape::Array(element) => {
            let is_nullable = is_exact && **element != Shape::Any;
            let null = if is_nullable { " | null" } else { "" };
            let inner = format!("{}{null}", self::shape(element, is_exact));
            if inner.contains(" | ") {
                format!("readonly ({inner})[]")
            } else {
                format!("readonly {inner}[]")
            }
        }
    }
}

/// As a client names the table.
fn spoken(name: &TableName) -> String {
    if name.schema == "public" && !name.name.contains('.') {
        name.name.clone()
    } else {
        name.to_string()
    }
}

/// A name for each interface; the schema is part of it where that is not `public`. What would
/// stand twice gets a number, in the order of the tables.
fn names(tables: &[Described]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(tables.len());
    for table in tables {
        let schema = if table.name.schema == "public" { "" } else { &table.name.schema };
        let plain = format!("{}{}", pascal(schema), pascal(&table.name.name));
        let plain = if plain.starts_with(|it: char| it.is_alphabetic()) {
            plain
        } else {
            format!("Table{plain}")
        };
        let is_free = |name: &String| !TAKEN.contains(&name.as_str()) && !names.contains(name);
        let mut numbered = (2..).map(|number| format!("{plain}{number}"));
        let name = Some(plain.clone()).filter(is_free).or_else(|| numbered.find(is_free));
        names.push(name.expect("numbers do not end"));
    }
    names
}

/// `user_profiles` and `user profiles` become `UserProfiles`.
fn pascal(name: &str) -> String {
    let words = name.split(|it: char| !it.is_alphanumeric());
    let mut text = String::new();
    for word in words {
        let mut signs = word.chars();
        text.extend(signs.next().into_iter().flat_map(char::to_uppercase));
        text.push_str(signs.as_str());
    }
    text
}

fn property(name: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '$';
    let is_word = !name.is_empty() && name.chars().all(is_plain);
    if is_word && !name.starts_with(|it: char| it.is_ascii_digit()) {
        name.to_owned()
    } else {
        literal(name)
    }
}

fn literal(text: &str) -> String {
    let mut quoted = String::from("'");
    for sign in text.chars() {
        match sign {
            '\'' | '\\' => {
                quoted.push('\\');
                quoted.push(sign);
            }
            // Line ends of JavaScript are more than those of Rust.
            '\u{2028}' | '\u{2029}' => push_code(&mut quoted, sign),
            sign if sign.is_control() => push_code(&mut quoted, sign),
            sign => quoted.push(sign),
        }
    }
    quoted.push('\'');
    quoted
}

fn push_code(text: &mut String, sign: char) {
    write!(text, "\\u{{{:x}}}", u32::from(sign)).expect("writing to a string does not fail");
}

/// A comment on one line, that nothing in it can end.
fn doc(indent: &str, text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    format!("{indent}/** {} */", words.join(" ").replace("*/", "*\\/"))
}

/// What somebody wrote, with an end and a space.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let end = if text.ends_with(['.', '!', '?']) || text.is_empty() { "" } else { "." };
    format!("{text}{end} ")
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::{doc, literal, names, pascal, property};
    use crate::{change::TableName, source::describe::Described};

    fn table(schema: &str, name: &str) -> Described {
        let name = TableName { schema: schema.to_owned(), name: name.to_owned() };
        Described { name, key: Vec::new(), columns: Vec::new(), comment: None }
    }

    #[test]
    fn every_interface_has_a_name_of_its_own() {
        let tables = [
            table("public", "UserProfiles"),
            table("public", "user_profiles"),
            table("public", "record"),
            table("public", "tables"),
            table("public", "7 wonders"),
            table("sales", "orders"),
        ];
        assert_eq!(
            names(&tables),
            ["UserProfiles", "UserProfiles2", "Record2", "Tables2", "Table7Wonders", "SalesOrders"],
        );
        assert_eq!(pascal("größe_a"), "GrößeA");
    }

    #[test]
    fn no_name_or_comment_can_break_out() {
        assert_eq!(property("plain_1"), "plain_1");
        assert_eq!(property("it's"), r"'it\'s'");
        assert_eq!(property("1st"), "'1st'");
        assert_eq!(literal("a\\\n\u{2028}'"), r"'a\\\u{a}\u{2028}\''");
        assert_eq!(doc("", "a */ b\n c"), r"/** a *\/ b c */");
    }
}
