//! PostgreSQL types that `tokio_postgres` has no Rust type for.

use std::error::Error;

use tokio_postgres::types::{FromSql, Type};

type Failure = Box<dyn Error + Sync + Send>;

/// `xid8`: a transaction's number, 64 bits, never reused while the cluster lives undamaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Xid8(pub u64);

impl<'a> FromSql<'a> for Xid8 {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(u64::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::XID8
    }
}

/// `timestamptz` as microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Micros(pub i64);

/// PostgreSQL counts from 2000-01-01, 10,957 days later.
const EPOCH: i64 = 10_957 * 86_400 * 1_000_000;

impl<'a> FromSql<'a> for Micros {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(i64::from_be_bytes(raw.try_into()?).saturating_add(EPOCH)))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

/// `json` as the text it is, not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JsonText<'a>(pub &'a str);

impl<'a> FromSql<'a> for JsonText<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(std::str::from_utf8(raw)?))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSON
    }
}
