//! The column types that are tested, with values that have been trouble.

use crate::vocabulary::JSON;

/// A type of column, and literals of it.
pub(crate) struct Type {
    /// As in `create table`.
    pub(crate) sql: &'static str,
    /// What rows may hold, and filters compare with.
    pub(crate) values: &'static [&'static str],
    /// What only filters compare with: other spellings, and what is no value of the type.
    pub(crate) others: &'static [&'static str],
    pub(crate) family: Family,
}

/// Which operators are tried besides equality and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Plain,
    Bool,
    Text,
    Json,
}

const INTS: &[&str] = &["0", "1", "-1", "2", "7", "10", "100", "32767", "-32768"];
const INT_OTHERS: &[&str] = &[
    "+7",
    " 7 ",
    "007",
    "-0",
    "1.0",
    "1e2",
    "abc",
    "",
    "2147483648",
    "32768",
    "9223372036854775808",
    "0x1",
    "1_0",
    "\u{663}",
    "--1",
];
const DECIMALS: &[&str] = &[
    "0", "1", "1.0", "1.00", "-1.5", "1.5", "0.1", "0.10", "100", "1e2", "NaN", "-0.01", "10",
    "9.99", "1.23",
];
const DECIMAL_OTHERS: &[&str] = &[
    "1.234567890123456789",
    "1.23e0",
    ".5",
    "5.",
    "-.5",
    "+1",
    " 1 ",
    "nan",
    "Infinity",
    "-inf",
    "1e131071",
    "1e131072",
    "1e-16383",
    "1e-16384",
    "0e400000",
    "abc",
    "",
    "1e",
    "1 2",
    "0x10",
];
const WIDE: &[&str] = &[
    "123456789012345678901234567890",
    "123456789012345678901234567890.000000001",
    "1e30",
    "Infinity",
    "-Infinity",
    "NaN",
    "0",
    "0.000",
    "-1e-20",
    "1e60",
    "1e61",
    "1e80",
    "9.99e79",
    "1.0e-70",
    "1",
    "1.50",
    "-7",
];
const FLOATS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "0.1",
    "0.2",
    "0.3",
    "1e20",
    "1.5",
    "NaN",
    "Infinity",
    "-Infinity",
    "3.14",
    "1e-10",
    "16777217",
    "123456789",
];
const FLOAT_OTHERS: &[&str] = &[
    "0.30000000000000004",
    "1e400",
    "1e-400",
    "nan",
    "inf",
    "-INF",
    " 1 ",
    "1.",
    ".5",
    "abc",
    "",
    "0.10000000149011612",
    "1e39",
    "1e-46",
    "+1",
    "1e",
    "0.1f",
];
const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "A",
    "ab",
    "a ",
    "a  ",
    "b",
    "\u{e9}",
    "\u{c9}",
    "\u{df}",
    "\u{130}",
    "\u{131}",
    "\u{212a}",
    "k",
    "K",
    "a%b",
    "a_b",
    "a\\b",
    "a\"b",
    "a,b",
    "a)b",
    "a.b",
    "null",
    "{a}",
    "{a,b}",
    "\u{1f600}",
    "\n",
    "\u{7f}",
    "a&b",
    "a+b",
    "a=b",
    "*",
    "%",
    "_",
    "'",
    "ba",
    "\u{1}",
    "\u{fffd}",
];
const TEXT_OTHERS: &[&str] =
    &["aa", "B", "\u{10ffff}", "\\", "a\tb", "%61", "not", "()", "(", "a\u{300}"];
const SHORT: &[&str] =
    &["", " ", "a", "A", "ab", "a ", "a  ", "b", "\u{e9}", "\u{1}", "k", "K", "a\t", "a\\", "a\""];
const MOMENTS: &[&str] = &[
    "2026-01-31T12:00:00",
    "2026-01-31 12:00:00.5",
    "2026-02-28 23:59:59.999999",
    "infinity",
    "-infinity",
    "0044-03-15 00:00:00 BC",
    "1999-12-31",
    "2000-02-29 00:00",
    "1970-01-01 00:00:00",
    "12345-06-07 08:09:10",
    "294276-12-31 23:59:59.999999",
    "4714-11-24 00:00:00 BC",
    "2026-01-31 12:00:00.000001",
];
const MOMENT_OTHERS: &[&str] = &[
    "2026-01-31T12:00:00Z",
    "2026-01-31T12:00:00+00:00",
    "2026-01-31T14:30:00+02:30",
    "2026-01-31 11:00-01",
    "2026-01-31T12:00:00.4999995",
    "2026-01-31T12:00:00.0000005",
    "2026-01-31T12:00:00.5000005",
    "2026-01-31T12:00:00.9999999",
    "2026-01-31T24:00:00",
    "2026-02-30",
    "now",
    "Today",
    "tomorrow",
    "0000-01-01",
    "294277-01-01",
    "2026-01-31T25:00",
    "abc",
    "",
    "2026-01-31T12:00:00+15:59:59",
    "2026-01-31t12:00z",
    "2026-01-31T12:00:00+1630",
    "2026-01-31 12:00:00 +02",
    "Infinity",
];

const fn of(
    sql: &'static str,
    values: &'static [&'static str],
    others: &'static [&'static str],
) -> Type {
    Type { sql, values, others, family: Family::Plain }
}

const fn text(sql: &'static str, values: &'static [&'static str]) -> Type {
    Type { sql, values, others: TEXT_OTHERS, family: Family::Text }
}

const fn json(sql: &'static str) -> Type {
    Type { sql, values: JSON, others: &[], family: Family::Json }
}

/// Needs the types that [`SETUP`] creates.
pub(crate) const TYPES: &[Type] = &[
    Type {
        sql: "boolean",
        values: &["true", "false"],
        others: &[
            "t", "F", "yes", "off", "1", "0", "on", " true ", "o", "of", "2", "", "tru", "truex",
        ],
        family: Family::Bool,
    },
    of("smallint", INTS, INT_OTHERS),
    of("integer", INTS, INT_OTHERS),
    of("bigint", &["0", "1", "-1", "9007199254740993", "-9223372036854775808"], INT_OTHERS),
    of("oid", &["0", "1", "4294967295", "3000000000"], &["4294967296", "+1", " 1", "abc", ""]),
    of("positive", &["1", "7", "10"], INT_OTHERS),
    of("numeric", WIDE, DECIMAL_OTHERS),
    of("numeric(8,2)", DECIMALS, DECIMAL_OTHERS),
    of("real", FLOATS, FLOAT_OTHERS),
    of("double precision", FLOATS, FLOAT_OTHERS),
    text("text", TEXTS),
    text("text collate \"C\"", TEXTS),
    text("text collate \"ucs_basic\"", TEXTS),
    text("text collate \"en-x-icu\"", TEXTS),
    text("text collate \"tr-x-icu\"", TEXTS),
    text("text collate loose", TEXTS),
    text("varchar(5) collate \"C\"", SHORT),
    text("char(4) collate \"C\"", SHORT),
    text("char(4)", SHORT),
    text("name", TEXTS),
    text("word", TEXTS),
    of(
        "uuid",
        &[
            "00000000-0000-0000-0000-000000000000",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
        ],
        &[
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
            "",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
            "abc",
            "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
            " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ],
    ),
    of(
        "date",
        &[
            "2026-01-31",
            "0044-03-15 BC",
            "infinity",
            "-infinity",
            "1999-12-31",
            "5874897-12-31",
            "4714-11-24 BC",
        ],
        MOMENT_OTHERS,
    ),
    of("timestamp", MOMENTS, MOMENT_OTHERS),
    of("timestamptz", MOMENTS, MOMENT_OTHERS),
    of(
        "timestamptz(0)",
        &["2026-01-31 12:00:00.4", "2026-01-31 12:00:01", "infinity"],
        MOMENT_OTHERS,
    ),
    of(
        "time",
        &["00:00", "12:00:00", "23:59:59.999999", "24:00:00", "12:00:00.5"],
        &[
            "12:00",
            "12:00:00.50",
            "24:00:01",
            "25:00",
            "12",
            "noon",
            "",
            "12:00:00.4999999",
            "now",
            "23:59:59.9999999",
            "infinity",
        ],
    ),
    of("mood", &["sad", "ok", "Happy", "it's", "a\\b"], &["happy", "", "sad "]),
    of("feeling", &["sad", "ok", "Happy"], &["happy", ""]),
    json("json"),
    json("jsonb"),
    of(
        "integer[]",
        &["{}", "{1}", "{1,2}", "{1,NULL}", "{NULL}", "{{1,2},{3,4}}", "{{1},{2}}", "{2,1}"],
        &[
            "{ 1 , 2 }",
            "{01,2}",
            "{1,null}",
            "{1,a}",
            "{1",
            "1",
            "",
            "{1,}",
            "{,1}",
            "{{1,2},{3}}",
            "{\"1\",\"2\"}",
            "{1}x",
            "{1}{2}",
        ],
    ),
    of(
        "text[]",
        &[
            "{}",
            "{a}",
            "{a,b}",
            "{NULL}",
            "{\"NULL\"}",
            "{\"a,b\"}",
            "{\"a\\\"b\",\"\\\\\"}",
            "{\"\"}",
            "{\" a \"}",
            "{\u{e9}}",
        ],
        &["{a ,b}", "{ a}", "{a b}", "{null}", "{\\a}", "{a\"b}", "{\"a\"b}", "{a\\ }", "{}"],
    ),
    of("numeric[]", &["{1,1.0}", "{1.50}", "{NaN}", "{}"], &["{1.0,1}", "{1.5}", "{nan}"]),
    of("boolean[]", &["{t,f}", "{t}", "{NULL,f}"], &["{true,false}", "{yes}"]),
    of("char(3)[]", &["{a}", "{\"a \"}", "{ab,c}"], &["{\"a   \"}"]),
    of(
        "timestamptz[]",
        &["{2026-01-31 12:00+00}", "{infinity,NULL}"],
        &["{2026-01-31T13:00:00+01}", "{now}"],
    ),
    of("mood[]", &["{sad}", "{sad,ok}", "{it's}", "{}"], &["{happy}", "{\"sad\"}"]),
    of("positive[]", &["{1}", "{1,7}"], &["{01}"]),
    of("some_ints", &["{1}", "{1,2}"], &["{01}"]),
    of(
        "bytea",
        &["\\x", "\\x00", "\\xdeadbeef", "abc", "\\xde"],
        &["\\xDEADBEEF", "\\\\", "\\336", "\\xd", "\\xzz", "\\", "\\400", "\\x61 62", "", "\u{e9}"],
    ),
    of("interval", &["1 day", "24:00:00"], &["1d"]),
    of("inet", &["10.0.0.1", "10.0.0.0/8"], &["10/8"]),
    of("point", &["(1,2)"], &["(1,2)"]),
    of("pair", &["(1,2)", "(,)", "(1,)"], &["(1,2)"]),
    of("int4range", &["[1,2)", "empty"], &["[1,1]"]),
];

pub(crate) const SETUP: &str = r"
    create domain positive as int check (value > 0);
    create domain word as text;
    create type mood as enum ('sad', 'ok', 'Happy', 'it''s', 'a\b');
    create domain feeling as mood check (value <> 'ok' or value is not null);
    create type pair as (a int, b int);
    create domain some_ints as int[];
    create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
";
