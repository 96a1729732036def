//! For tests: a table, claims, and policies over it.

use serde_json::Value;

use super::Claims;
use super::policy::{Policy, PolicySettings, Readers, RuleSettings, TableSettings};
use crate::change::{Collation, Column, Folding, Table, TableName};

/// `public.courses` with the key `id`.
pub(super) fn table() -> Table {
    let column = |name: &str, type_name: &str, type_oid| Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        type_oid,
        element_oid: 0,
        collation: if type_oid == 25 { Collation::Bytes } else { Collation::None },
        folding: Folding::Unknown,
        is_domain: false,
        labels: Vec::new(),
    };
    Table {
        oid: 16_384,
        name: TableName::parse("courses"),
        key: vec![String::from("id")],
        columns: vec![
            column("id", "integer", 23),
            column("owner", "text", 25),
            column("status", "text", 25),
            column("title", "text", 25),
            column("secret", "text", 25),
        ],
        shape: 1,
    }
}

/// Claims of a verified token, with roles in `role`.
pub(super) fn claims(value: Value) -> Claims {
    let Value::Object(object) = value else { panic!("claims are an object") };
    Claims::new(object, "role", i64::MAX)
}

/// A rule; no text is no filter, no columns are all.
pub(super) fn rule(read: Readers, rows: &str, columns: &[&str]) -> RuleSettings {
    let columns: Vec<_> = columns.iter().map(|&it| it.to_owned()).collect();
    RuleSettings {
        place: String::new(),
        read,
        rows: Some(rows.to_owned()),
        columns: Some(columns).filter(|it| !it.is_empty()),
    }
}

/// A policy with these rules for [`table`].
pub(super) fn policy(rules: &[RuleSettings]) -> Policy {
    Policy::new(settings(rules)).expect("a policy")
}

/// What [`policy`] is made from.
pub(super) fn settings(rules: &[RuleSettings]) -> PolicySettings {
    let entry = TableSettings { rules: rules.to_vec(), undurable: false };
    PolicySettings {
        default: Readers::Nobody,
        tables: [(String::from("public.courses"), entry)].into(),
    }
}
