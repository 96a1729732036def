//! The grammar, the refusals and the placeholders; what values mean is tested against
//! PostgreSQL in `tests/filter/`.

use super::{Binding, CompiledFilter, Filter, FilterError, Placeholder, Scalar, canonical};
use crate::change::{Collation, Column, Folding, Row, Table, TableName};
use crate::feed::Image;

fn column(name: &str, type_name: &str, type_oid: u32) -> Column {
    Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        type_oid,
        is_domain: false,
        element_oid: 0,
        collation: Collation::Language,
        folding: Folding::Simple,
        labels: Vec::new(),
    }
}

fn table() -> Table {
    let labels = ["low", "high"].map(str::to_owned).to_vec();
    let columns = vec![
        column("id", "integer", 23),
        column("title", "text", 25),
        Column { collation: Collation::Bytes, ..column("code", "text", 25) },
        column("price", "numeric(8,2)", 1700),
        column("at", "timestamp with time zone", 1184),
        column("done", "boolean", 16),
        column("data", "jsonb", 3802),
        Column { labels, ..column("rank", "rank", 20_000) },
        Column { element_oid: 23, ..column("tags", "integer[]", 1007) },
        column("secret", "text", 25),
        column("odd.name", "text", 25),
        column("place", "point", 600),
        Column { collation: Collation::Nondeterministic, ..column("loose", "text", 25) },
        column("owner", "uuid", 2950),
    ];
    let name = TableName::parse("courses");
    Table { oid: 1, name, key: vec!["id".to_owned()], columns, shape: 0 }
}

fn compile(filter: &Filter) -> Result<CompiledFilter, FilterError> {
    filter.compile(&table(), &|name| name != "secret")
}

fn compiled(text: &str) -> Result<CompiledFilter, FilterError> {
    Filter::parse(text).and_then(|filter| compile(&filter))
}

fn matches(text: &str, row: &str) -> bool {
    let table = table();
    let row = Row::new(row);
    compiled(text).unwrap().matches(&Image::of(&table, &row))
}

#[test]
fn parts_are_joined_by_and_and_decoded_once() {
    for (text, is_match) in [
        ("id=eq.7", true),
        ("id=eq.7&title=eq.a%26b%3Dc+d", true),
        ("id=eq.7&title=eq.a%2526b", false),
        ("id=not.eq.7", false),
        ("title=eq.\"a\"", false),
        ("or=(id.eq.1, id.eq.7)", true),
        ("or=(id.eq.1,and(id.eq.7,not.or(id.eq.8,id.not.eq.7)))", true),
        ("not.and=(id.eq.7,title.eq.x)", true),
        ("and=(title.eq.\"a%26b=c+d\",id.in.(1,7))", true),
        ("id=in.()", false),
        ("id=not.in.()", true),
        ("or=(\"odd.name\".eq.\"x,\\\"y\\\\\",id.eq.0)", true),
        ("odd.name=like.x*", true),
        ("title=is.NULL", false),
        ("data->a->>b=eq.1", true),
        ("data->l->>-1=eq.z", true),
        ("or=(data->\"l\"->>0.eq.y,id.eq.0)", true),
        ("data->none=is.null", true),
        ("tags=eq.{1,NULL}", true),
        ("or=(tags.eq.{1,NULL},id.eq.0)", true),
        ("rank=gt.low", true),
    ] {
        let row = r#"{"id":7,"title":"a&b=c+d","odd.name":"x,\"y\\","data":{"a": {"b": 1},
            "l":["y","z"]},"tags":[1,null],"rank":"high"}"#;
        assert_eq!(matches(text, row), is_match, "{text}");
    }
}

#[test]
fn refusals_say_what_and_where() {
    for (text, place, says) in [
        ("", 0, "column=operator.value"),
        ("id", 0, "column=operator.value"),
        ("id=eq.1&", 8, "column=operator.value"),
        ("id=1", 3, "no operator \"1\"; there are eq,"),
        ("id=eq", 5, "expected ."),
        ("id=equals.1", 3, "no operator \"equals\""),
        ("=eq.1", 0, "name of a column"),
        ("id=eq.abc", 6, "\"abc\" is no integer"),
        ("id=eq.2147483648", 6, "out of range"),
        ("id=in.1", 6, "in takes a list"),
        ("id=in.(1", 8, "expected , or )"),
        ("id=in.(1)x", 9, "nothing may follow"),
        ("id=eq.%4", 6, "%25"),
        ("title=eq.%ff", 9, "UTF-8"),
        ("title=eq.a%00", 10, "zero byte"),
        ("title=gt.a", 6, "collations C"),
        ("loose=eq.a", 6, "nondeterministic"),
        ("title=ilike.%E1%82%A0", 12, "these letters"),
        ("title=like.a\\", 11, "single \\"),
        ("id=like.1*", 3, "needs text"),
        ("at=gt.now", 6, "moves with the clock"),
        ("at=gt.1%2F2%2F2026", 6, "write it as"),
        ("done=is.maybe", 8, "null, true, false or unknown"),
        ("id=is.true", 3, "needs a boolean"),
        ("data=is.null", 5, "look alike"),
        ("data->a=eq.1", 8, "->>"),
        ("data->>a->b=eq.1", 8, "ends a path"),
        ("title->>a=eq.1", 0, "no arrow leads"),
        ("rank=eq.middle", 8, "is no rank"),
        ("tags=gt.{1}", 5, "equality alone"),
        ("tags=eq.{1,x}", 8, "\"x\" is no"),
        ("place=eq.(1,2)", 6, "not compared here"),
        ("or=(id.eq.1", 11, "expected , or )"),
        ("or=id.eq.1", 3, "opens with ("),
        ("or=(id.eq.\"1)", 10, "never closed"),
        ("or=(id.eq.\"1\"2)", 13, "after the closing quote"),
        ("%69d=eq.%78", 8, "\"x\" is no integer"),
        ("none=eq.1", 0, "no column \"none\" to filter by"),
        ("secret=eq.1", 0, "no column \"secret\" to filter by"),
        ("or=(id.eq.1,secret.eq.1)", 12, "no column \"secret\" to filter by"),
    ] {
        let error = compiled(text).expect_err(text);
        assert_eq!(error.place, place, "{text}: {error}");
        assert!(error.to_string().contains(says), "{text}: {error}");
        assert!(error.to_string().ends_with(&format!("(at byte {place})")), "{error}");
    }
}

#[test]
fn size_depth_and_terms_are_limited() {
    let nested = |depth: usize| {
        format!("and={}id.eq.1{}", "(and".repeat(depth - 1) + "(", ")".repeat(depth))
    };
    assert!(Filter::parse(&nested(8)).is_ok());
    assert!(Filter::parse(&nested(9)).unwrap_err().message.contains("8 deep"));
    assert!(Filter::parse(&nested(600)).is_err());
    let many = |count: usize| vec!["id=eq.1"; count].join("&");
    assert!(Filter::parse(&many(100)).is_ok());
    assert!(Filter::parse(&many(101)).unwrap_err().message.contains("100 terms"));
    let long = |bytes: usize| format!("title=eq.{}", "x".repeat(bytes - 9));
    assert!(Filter::parse(&long(4096)).is_ok());
    assert!(Filter::parse(&long(4097)).unwrap_err().message.contains("4096 bytes"));
}

#[test]
fn unknown_is_not_true_and_absent_columns_are_unknown() {
    for text in ["title=eq.a", "title=not.eq.a", "title=neq.a", "title=in.(a)", "title=like.*"] {
        assert!(!matches(text, r#"{"title":null}"#), "{text}");
        assert!(!matches(text, "{}"), "{text}");
    }
    for text in ["title=is.null", "title=isdistinct.a", "title=not.in.()", "done=is.unknown"] {
        assert!(matches(text, r#"{"title":null,"done":null}"#), "{text}");
        assert!(!matches(text, "{}"), "{text}");
    }
    assert!(matches("or=(title.eq.a,id.eq.1)", r#"{"id":1,"title":null}"#));
}

fn policy(text: &str, value: impl Into<Option<Binding>>) -> CompiledFilter {
    let value = value.into();
    let filter = Filter::parse_policy(text).unwrap();
    compile(&filter.bind(&|_| value.clone())).unwrap()
}

fn text(text: &str) -> Binding {
    Binding::One(Scalar::Text(text.to_owned()))
}

fn lets(text: &str, value: impl Into<Option<Binding>>, row: &str) -> bool {
    let row = Row::new(row);
    policy(text, value).matches(&Image::of(&table(), &row))
}

#[test]
fn a_claim_is_one_value_and_never_syntax() {
    let row = r#"{"id":7,"title":"a,b)","data":{"k":"x"}}"#;
    assert!(lets("or=(title.eq.{claims.sub},id.eq.0)", text("a,b)"), row));
    assert!(lets("title=in.(z,{claims.sub})", text("a,b)"), row));
    assert!(!lets("title=eq.{claims.sub}", text("x\",id.eq.7"), row));
    assert!(!lets("title=neq.{claims.sub}", text("a\0"), row));
    let client = Filter::parse("title=eq.{claims.sub}").unwrap();
    assert!(client.placeholders().is_empty());
    for refused in [
        "title=like.{claims.sub}",
        "title=eq.x{claims.sub}",
        "title=eq.{claim.sub}",
        "title=in.(\"{claims.sub}\")",
        "title=eq.{id}",
    ] {
        assert!(Filter::parse_policy(refused).is_err(), "{refused}");
    }
    let feed = Filter::parse_feed("id=eq.{id}&title=eq.{claims.a.b}", &["id"]).unwrap();
    let expected = [Placeholder::Path("id".to_owned()), Placeholder::Claim("a.b".to_owned())];
    assert_eq!(feed.placeholders(), expected.iter().collect::<Vec<_>>());
}

#[test]
fn a_claim_without_a_value_lets_nothing_through() {
    let row = r#"{"id":7,"title":"a"}"#;
    for filter in [
        "title=eq.{claims.x}",
        "title=neq.{claims.x}",
        "title=not.eq.{claims.x}",
        "title=not.in.({claims.x})",
        "not.and=(title.eq.{claims.x},id.eq.0)",
        "or=(id.eq.7,title.eq.{claims.x})",
        "title=isdistinct.{claims.x}",
    ] {
        assert!(!lets(filter, None, row), "{filter}");
        let unbound = compile(&Filter::parse_policy(filter).unwrap()).unwrap();
        assert!(unbound.never().is_some() && unbound.to_sql(1).0 == "false");
        assert_eq!(unbound.equality(), None);
    }
    let many = Some(Binding::Many(vec![Scalar::Text("a".to_owned())]));
    assert!(!lets("title=eq.{claims.x}", many.clone(), row));
    assert!(!lets("title=not.eq.{claims.x}", many.clone(), row));
    assert!(lets("title=in.({claims.x})", many, row));
}

#[test]
fn a_claim_is_never_turned_into_another_type() {
    let row = r#"{"id":7,"title":"7","done":true,"price":7.00}"#;
    let number = |digits: &str| Binding::One(Scalar::Number(digits.to_owned()));
    assert!(lets("id=eq.{claims.x}", number("7"), row));
    assert!(lets("price=eq.{claims.x}", number("7"), row));
    assert!(lets("title=eq.{claims.x}", text("7"), row));
    assert!(lets("done=eq.{claims.x}", Binding::One(Scalar::Bool(true)), row));
    assert!(lets("id=eq.{claims.x}", Binding::One(Scalar::Word("7".to_owned())), row));
    for (filter, value) in [
        ("id=neq.{claims.x}", text("08")),
        ("title=neq.{claims.x}", number("8")),
        ("done=neq.{claims.x}", text("f")),
        ("data->>k=isdistinct.{claims.x}", number("8")),
        ("owner=neq.{claims.x}", text("no uuid")),
        ("id=neq.{claims.x}", number("1.5")),
    ] {
        assert!(!lets(filter, value, row), "{filter}");
    }
}

/// `sub` is text whatever the key is, so text is read by the column's type, but in one spelling.
#[test]
fn a_text_claim_fits_a_number_in_its_plain_spelling_alone() {
    let row = r#"{"id":7,"price":7.00,"done":true}"#;
    assert!(lets("id=eq.{claims.x}", text("7"), row));
    assert!(lets("id=in.({claims.x})", Binding::Many(vec![Scalar::Text("7".to_owned())]), row));
    assert!(lets("price=eq.{claims.x}", text("7"), row));
    assert!(lets("done=eq.{claims.x}", text("true"), row));
    assert!(lets("price=gt.{claims.x}", text("6.5"), row));
    let others = ["07", " 7", "7 ", "+7", "7.0", "7e0", "", "0x7", "\u{667}", "7_0", "-07"];
    for other in others {
        for column in ["id", "price"] {
            // Under a negation too: what does not fit lets nothing through.
            for operator in ["eq", "neq", "not.eq", "isdistinct"] {
                let filter = format!("{column}={operator}.{{claims.x}}");
                assert!(!lets(&filter, text(other), row), "{filter} {other:?}");
            }
        }
    }
    for other in ["t", "TRUE", "1", "yes", " true"] {
        assert!(!lets("done=eq.{claims.x}", text(other), row), "{other}");
    }
    let digits = |digits: &str| Binding::One(Scalar::Number(digits.to_owned()));
    assert!(!lets("title=eq.{claims.x}", digits("7"), r#"{"title":"7"}"#));
}

#[test]
fn claims_that_json_may_have_rounded_have_no_value() {
    let claim = |json: &str| Binding::from_claim(&serde_json::from_str(json).unwrap());
    assert_eq!(claim("\"a\""), Some(text("a")));
    assert_eq!(
        claim("9007199254740993"),
        Some(Binding::One(Scalar::Number("9007199254740993".into())))
    );
    assert_eq!(claim("[1]"), Some(Binding::Many(vec![Scalar::Number("1".into())])));
    for json in ["null", "{}", "[null]", "[[1]]", "1.5", "123456789012345678901234567890"] {
        assert_eq!(claim(json), None, "{json}");
    }
}

#[test]
fn a_list_that_is_walked_through_counts_by_its_length() {
    let terms = |text: &str| compiled(text).unwrap().terms();
    assert_eq!(terms("id=not.in.(1,2,3)&rank=not.gt.low&data->>k=in.(a,b)&title=eq.a"), 4);
    assert_eq!(terms("tags=not.in.({1},{2},{3})&tags=in.()"), 4);
}

#[test]
fn equalities_meet_the_canonical_values_of_rows() {
    let equality = |text: &str| compiled(text).unwrap().equality();
    let one = |column: usize, values: &[&str]| {
        Some((column, values.iter().copied().map(String::from).collect::<Vec<_>>()))
    };
    assert_eq!(equality("price=in.(1.50,2e2)&id=eq.007"), one(0, &["7"]));
    assert_eq!(equality("price=in.(1.50,2e2)"), one(3, &["1.5", "200"]));
    assert_eq!(equality("or=(id.eq.2,id.in.(1,2))&price=gt.1"), one(0, &["1", "2"]));
    assert_eq!(equality("done=is.true&rank=not.eq.low"), one(5, &["true"]));
    assert_eq!(equality("or=(id.eq.1,rank.eq.low)&tags=eq.{1}"), None);
    assert_eq!(equality("id=not.eq.1&not.and=(id.eq.2)&data->>k=eq.1"), None);
    assert_eq!(equality("id=in.()"), None);
    assert_eq!(equality("price=in.(2,1,2.0,1)"), one(3, &["1", "2"]), "each value once");
    assert_eq!(compiled("id=in.(1,2,1)&price=gt.1").unwrap().indexed_values(), 2);
    assert_eq!(compiled("id=not.in.(1,2,1)").unwrap().indexed_values(), 0);
    let table = table();
    let value = |column: usize, raw| canonical(&table.columns[column], raw).map(String::from);
    assert_eq!(value(0, "7").as_deref(), Some("7"));
    assert_eq!(value(3, "1.50").as_deref(), Some("1.5"));
    assert_eq!(value(3, "200.00").as_deref(), Some("200"));
    assert_eq!(value(1, r#""a\"b""#).as_deref(), Some("a\"b"));
    assert_eq!(value(0, "null"), None);
}

#[test]
fn a_clause_numbers_its_parameters_from_where_it_is_told_to() {
    let both = compiled("id=eq.7&title=eq.b").unwrap();
    assert_eq!(both.columns(), [0, 1]);
    let (sql, parameters) = both.to_sql(3);
    assert_eq!(parameters, ["7", "b"]);
    assert!(sql.contains("$3::pg_catalog.text::pg_catalog.int4") && sql.contains("$4"));
}
