//! What a policy lets be seen, and that nothing else ever is.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Policy, PolicySettings, Readers, RuleSettings, TableSettings};
use crate::auth::Claims;
use crate::auth::sample::{claims, policy, rule, settings, table};
use crate::change::{Row, Table, TableName};
use crate::feed::{Grant, Image};

fn roles(names: &[&str]) -> Readers {
    Readers::Roles(names.iter().map(|&it| it.to_owned()).collect())
}

/// The names of the visible columns, or `hidden`.
fn seen(grant: &Grant, row: &Value) -> String {
    let (table, row) = (table(), Row::new(row.to_string()));
    let Some(columns) = grant.sees(&Image::of(&table, &row)) else { return "hidden".to_owned() };
    let names = columns.places().map(|place| table.columns[place].name.as_str());
    names.collect::<Vec<_>>().join(",")
}

fn course(owner: &str, status: &str) -> Value {
    json!({"id": 1, "owner": owner, "status": status, "title": "t", "secret": "s"})
}

#[test]
fn without_an_entry_nobody_reads() {
    let someone = claims(json!({"sub": "ann", "role": "admin"}));
    assert_eq!(Policy::default().grant(&table(), Some(&someone)), None);
    let empty = policy(&[]);
    assert_eq!(empty.grant(&table(), Some(&someone)), None);
    for (default, without, with) in [
        (Readers::Nobody, false, false),
        (Readers::Authenticated, false, true),
        (Readers::Anyone, true, true),
        (roles(&["admin"]), false, true),
        (roles(&["mentor"]), false, false),
    ] {
        let settings = PolicySettings { default, ..PolicySettings::default() };
        let policy = Policy::new(settings).expect("a policy");
        assert_eq!(policy.grant(&table(), None).is_some(), without);
        assert_eq!(policy.grant(&table(), Some(&someone)).is_some(), with);
    }
}

#[test]
fn an_entry_takes_the_place_of_the_default() {
    let settings = PolicySettings { default: Readers::Anyone, ..settings(&[]) };
    let policy = Policy::new(settings).expect("a policy");
    assert_eq!(policy.grant(&table(), None), None);
    let other = Table { name: TableName::parse("app.courses"), ..table() };
    assert!(policy.grant(&other, None).is_some());
    // Names are compared as PostgreSQL spells them.
    let upper = Table { name: TableName::parse("Courses"), ..table() };
    assert!(policy.grant(&upper, None).is_some());
}

#[test]
fn the_log_is_read_by_nobody() {
    let open = PolicySettings { default: Readers::Anyone, ..PolicySettings::default() };
    let policy = Policy::new(open).expect("a policy");
    for name in ["pgfeed.log", "pgfeed.tick"] {
        let log = Table { name: TableName::parse(name), ..table() };
        assert_eq!(policy.grant(&log, None), None);
        let entry = TableSettings {
            rules: vec![rule(Readers::Anyone, "", &[])],
            ..TableSettings::default()
        };
        let tables = [(name.to_owned(), entry)].into();
        assert!(Policy::new(PolicySettings { tables, ..PolicySettings::default() }).is_err());
    }
}

#[test]
fn rows_and_columns_are_those_of_the_rule() {
    let policy =
        policy(&[rule(Readers::Anyone, "status=eq.PUBLISHED", &["title", "status", "id"])]);
    let grant = policy.grant(&table(), None).expect("a grant");
    assert_eq!(seen(&grant, &course("ann", "PUBLISHED")), "id,status,title");
    assert_eq!(seen(&grant, &course("ann", "DRAFT")), "hidden");
    assert_eq!(seen(&grant, &json!({"id": 1, "status": null})), "hidden");
    assert_eq!(seen(&grant, &json!({"id": 1})), "hidden");
    assert_eq!(seen(&grant, &json!({})), "hidden");
}

#[test]
fn a_claim_stands_as_one_value_and_never_as_syntax() {
    let policy = policy(&[
        rule(Readers::Authenticated, "owner=eq.{claims.sub}", &[]),
        rule(roles(&["not"]), "owner=not.eq.{claims.sub}", &[]),
        rule(roles(&["or"]), "or=(owner.eq.{claims.sub},status.eq.PUBLISHED)", &[]),
        rule(roles(&["in"]), "owner=in.({claims.teams})", &[]),
    ]);
    let seen_by = |reader: Value, owner: &str, status: &str| {
        let grant = policy.grant(&table(), Some(&claims(reader))).expect("a grant");
        seen(&grant, &course(owner, status)) != "hidden"
    };
    assert!(seen_by(json!({"sub": "ann"}), "ann", "DRAFT"));
    assert!(!seen_by(json!({"sub": "ann"}), "bob", "DRAFT"));
    for sub in [
        "*",
        "%",
        "ann,bob",
        "(ann,bob)",
        "ann)&owner=not.is.null",
        "\"ann\"",
        "{claims.sub}",
        "not.eq.x",
        "ann&status=eq.DRAFT",
        "ann%26",
        "' or '1'='1",
        "ann,status.eq.DRAFT",
    ] {
        assert!(!seen_by(json!({"sub": sub, "role": ["or", "in"]}), "ann", "DRAFT"), "{sub}");
        assert!(seen_by(json!({"sub": sub}), sub, "DRAFT"), "{sub} is a name like another");
    }
    // Missing, or not one value: no row, also where a negation or an `or` stands around it.
    for reader in [
        json!({"role": ["not", "or"]}),
        json!({"role": ["not", "or"], "sub": null}),
        json!({"role": ["not", "or"], "sub": ["ann"]}),
        json!({"role": ["not", "or"], "sub": {"ann": 1}}),
        json!({"role": ["not", "or"], "sub": 1.5}),
    ] {
        assert!(!seen_by(reader.clone(), "ann", "PUBLISHED"), "{reader}");
    }
    assert!(!seen_by(json!({"sub": 1}), "1", "DRAFT"), "1 is not \"1\"");
    assert!(seen_by(json!({"role": "in", "teams": ["x", "ann"]}), "ann", "DRAFT"));
    assert!(!seen_by(json!({"role": "in", "teams": []}), "ann", "DRAFT"));
    assert!(!seen_by(json!({"role": "in", "teams": [["ann"]]}), "ann", "DRAFT"));
}

#[test]
fn several_rules_are_a_union_row_by_row() {
    let policy = policy(&[
        rule(Readers::Anyone, "status=eq.PUBLISHED", &["id", "title"]),
        rule(Readers::Authenticated, "owner=eq.{claims.sub}", &["id", "status", "title"]),
        rule(roles(&["auditor"]), "", &["id", "secret"]),
    ]);
    let seen_by = |reader: Option<Value>, owner: &str, status: &str| {
        let reader = reader.map(claims);
        let grant = policy.grant(&table(), reader.as_ref()).expect("a grant");
        seen(&grant, &course(owner, status))
    };
    let ann = || Some(json!({"sub": "ann"}));
    let auditor = || Some(json!({"sub": "ann", "role": "auditor"}));
    assert_eq!(seen_by(None, "ann", "PUBLISHED"), "id,title");
    assert_eq!(seen_by(None, "ann", "DRAFT"), "hidden");
    assert_eq!(seen_by(ann(), "ann", "PUBLISHED"), "id,status,title");
    assert_eq!(seen_by(ann(), "ann", "DRAFT"), "id,status,title");
    assert_eq!(seen_by(ann(), "bob", "PUBLISHED"), "id,title");
    assert_eq!(seen_by(ann(), "bob", "DRAFT"), "hidden");
    assert_eq!(seen_by(auditor(), "bob", "DRAFT"), "id,secret");
    assert_eq!(seen_by(auditor(), "bob", "PUBLISHED"), "id,title,secret");
}

#[test]
fn a_client_filters_only_by_what_it_sees_of_every_row() {
    let policy = policy(&[
        rule(Readers::Anyone, "status=eq.PUBLISHED", &["id", "title"]),
        rule(Readers::Authenticated, "owner=eq.{claims.sub}", &["id", "title", "secret"]),
    ]);
    let filterable = |reader: Option<Claims>| {
        let grant = policy.grant(&table(), reader.as_ref()).expect("a grant");
        let places = (0..5).filter(|place| grant.is_filterable(*place));
        places.map(|place| table().columns[place].name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(filterable(None), ["id", "title"]);
    // Seen of the reader's own rows, so asking by it would tell of the rows of others.
    assert_eq!(filterable(Some(claims(json!({"sub": "ann"})))), ["id", "title"]);
    // The same for a reader whose claim is missing, so that the answer tells nothing of it.
    assert_eq!(filterable(Some(claims(json!({})))), ["id", "title"]);
}

#[test]
fn the_same_rights_are_the_same_grant() {
    let published = || rule(roles(&["a", "b"]), "status=eq.PUBLISHED", &["id", "title"]);
    let own = || rule(roles(&["b", "c"]), "owner=eq.{claims.sub}", &["id"]);
    let one = policy(&[published(), own()]);
    let other = policy(&[own(), published(), published()]);
    let of = |policy: &Policy, reader: Value| policy.grant(&table(), Some(&claims(reader)));
    let ann = |role: &str| json!({"sub": "ann", "role": role});
    let bob = |role: &str| json!({"sub": "bob", "role": role});
    assert_eq!(of(&one, ann("a")), of(&one, bob("a")), "the name is not in it");
    assert_ne!(of(&one, ann("b")), of(&one, bob("b")), "the name is in it");
    assert_ne!(of(&one, ann("a")), of(&one, ann("b")));
    assert_eq!(of(&one, ann("b")), of(&other, ann("b")), "order does not count");
    let mut topics = HashMap::new();
    for (policy, reader) in [(&one, ann("b")), (&other, ann("b")), (&one, bob("b"))] {
        *topics.entry(of(policy, reader)).or_insert(0) += 1;
    }
    assert_eq!(topics.len(), 2);
    // What adds nothing is not in it.
    let all = policy(&[rule(Readers::Anyone, "", &[]), own()]);
    assert_eq!(of(&all, ann("a")), of(&all, ann("c")));
}

#[test]
fn what_does_not_fit_the_table_is_refused_with_table_and_reason() {
    let why = |rule: RuleSettings| match Policy::new(settings(&[rule])) {
        Ok(policy) => policy.faults(&table()).first().map_or(Ok(()), |it| Err(it.to_string())),
        Err(error) => Err(error.to_string()),
    };
    let is = |text: &str| Err(format!("tables.\"public.courses\".{text}"));
    let columns = |names: &[&str]| why(rule(Readers::Anyone, "", names));
    assert_eq!(columns(&["id", "nme"]), is("columns: the table has no column nme"));
    assert_eq!(columns(&["title"]), is("columns: the primary key's column id is missing"));
    assert_eq!(columns(&["ID"]), is("columns: the table has no column ID"));
    assert_eq!(columns(&["id"]), Ok(()));
    let rows = |text: &str| why(rule(Readers::Anyone, text, &["id"]));
    for good in ["", "status=eq.x", "id=eq.{claims.sub}", "owner=in.({claims.a},x)"] {
        assert_eq!(rows(good), Ok(()), "{good}");
    }
    for bad in [
        "nme=eq.1",
        "id=eq.x",
        "status",
        "status=is.true",
        "owner=eq.x-{claims.sub}",
        "owner=eq.{claim.sub}",
        "owner=like.{claims.sub}",
        "owner=eq.{id}",
    ] {
        let refused = rows(bad).expect_err("refused");
        assert!(refused.starts_with("tables.\"public.courses\".rows: "), "{refused}");
    }
    let mut second = rule(Readers::Anyone, "", &["nme"]);
    second.place = String::from("grants[1]");
    assert_eq!(why(second), is("grants[1].columns: the table has no column nme"));
    assert!(why(rule(roles(&[]), "", &[])).is_err());
    let none = RuleSettings { columns: Some(Vec::new()), ..RuleSettings::default() };
    assert!(why(none).is_err());
    let twice = PolicySettings {
        tables: [("courses", ()), ("public.courses", ())]
            .map(|(name, ())| (name.to_owned(), TableSettings::default()))
            .into(),
        ..PolicySettings::default()
    };
    assert!(Policy::new(twice).is_err());
}

#[test]
fn a_rule_that_no_longer_fits_lets_nothing_be_read() {
    let policy = policy(&[
        rule(Readers::Anyone, "", &["id", "title"]),
        rule(roles(&["auditor"]), "", &["id", "secret"]),
    ]);
    let mut drifted = table();
    drifted.columns.retain(|column| column.name != "secret");
    assert!(!policy.faults(&drifted).is_empty());
    let auditor = claims(json!({"role": "auditor"}));
    assert_eq!(policy.grant(&drifted, Some(&auditor)), None);
    assert!(policy.grant(&drifted, None).is_some(), "others read on");
}

/// The model: which columns of a row a reader may see, by the words of the policy alone.
fn model(rules: &[Sketch], reader: Option<&Reader>, row: &[String; 3]) -> Option<BTreeSet<usize>> {
    let mut seen: Option<BTreeSet<usize>> = None;
    for rule in rules {
        let admitted = match rule.readers {
            0 => false,
            1 => reader.is_some(),
            2 => true,
            role => reader.is_some_and(|it| it.roles.contains(&role)),
        };
        let sub = reader.and_then(|it| it.sub.as_ref());
        let rows = match rule.rows {
            0 => true,
            1 => row[1] == "a",
            2 => sub == Some(&row[0]),
            3 => sub.is_some_and(|sub| *sub != row[0]),
            _ => sub.is_some_and(|sub| *sub == row[0] || row[1] == "a"),
        };
        if admitted && rows {
            seen.get_or_insert_default().extend(rule.columns.iter().copied().chain([0]));
        }
    }
    seen
}

#[derive(Clone, Debug)]
struct Sketch {
    readers: u8,
    rows: u8,
    columns: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
struct Reader {
    sub: Option<String>,
    roles: Vec<u8>,
}

impl Sketch {
    fn settings(&self) -> RuleSettings {
        let readers = match self.readers {
            0 => Readers::Nobody,
            1 => Readers::Authenticated,
            2 => Readers::Anyone,
            role => Readers::Roles(vec![role.to_string()]),
        };
        let rows = match self.rows {
            0 => "",
            1 => "status=eq.a",
            2 => "owner=eq.{claims.sub}",
            3 => "owner=neq.{claims.sub}",
            _ => "or=(owner.eq.{claims.sub},status.eq.a)",
        };
        let table = table();
        let names = self.columns.iter().chain([&0]).map(|at| table.columns[*at].name.as_str());
        rule(readers, rows, &names.collect::<Vec<_>>())
    }
}

impl Reader {
    fn claims(&self) -> Claims {
        let roles: Vec<_> = self.roles.iter().map(u8::to_string).collect();
        let mut object = Map::from_iter([(String::from("role"), json!(roles))]);
        if let Some(sub) = &self.sub {
            object.insert(String::from("sub"), json!(sub));
        }
        claims(Value::Object(object))
    }
}

prop_compose! {
    fn sketch()(
        readers in 0_u8..6,
        rows in 0_u8..5,
        columns in prop::collection::btree_set(1_usize..5, 0..4),
    ) -> Sketch {
        Sketch { readers, rows, columns }
    }
}

prop_compose! {
    fn reader()(
        sub in prop::option::of("[ab*%,(){}]{1,2}"),
        roles in prop::collection::vec(3_u8..6, 0..3),
    ) -> Reader {
        Reader { sub, roles }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_outside_a_grant_is_ever_visible(
        rules in prop::collection::vec(sketch(), 0..5),
        reader in prop::option::of(reader()),
        row in ["[ab*%,(){}]{1,2}", "[ab]", "[ab]"],
    ) {
        let table = table();
        let settings: Vec<_> = rules.iter().map(Sketch::settings).collect();
        let policy = policy(&settings);
        prop_assert_eq!(policy.faults(&table), vec![]);
        let claims = reader.as_ref().map(Reader::claims);
        let image = Row::new(json!({
            "id": 1, "owner": row[0], "status": row[1], "title": row[2], "secret": "s",
        }).to_string());
        let image = Image::of(&table, &image);
        let grant = policy.grant(&table, claims.as_ref());
        let visible = grant.as_ref().and_then(|it| it.sees(&image));
        let seen = visible.as_ref().map(|it| it.places().collect::<BTreeSet<_>>());
        prop_assert_eq!(&seen, &model(&rules, reader.as_ref(), &row));
        if let (Some(grant), Some(columns)) = (&grant, &visible) {
            prop_assert_eq!(grant.columns().or(columns), grant.columns());
            prop_assert!((0..5).all(|at| !grant.is_filterable(at) || columns.has(at)));
        }
    }
}
