//! `pgfeed token` and `pgfeed explain`: what a reader is, and what a reader gets.

#![expect(clippy::print_stdout, reason = "the commands' output")]

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use super::{access, build};
use crate::{
    auth::{
        explain,
        mint::{self, Order},
        token::Verifier,
    },
    change::TableName,
    settings::Settings,
    source::{Admin, Target},
};

/// What `pgfeed token` is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `sub`.
    pub subject: Option<String>,
    /// The roles.
    pub roles: Vec<String>,
    /// How long it is good, in seconds.
    pub ttl_seconds: u32,
    /// Further claims, each `name=value`.
    pub claims: Vec<String>,
}

/// `pgfeed token`.
pub fn mint(settings: &Settings, wanted: Wanted) -> anyhow::Result<()> {
    let order = Order {
        subject: wanted.subject,
        roles: wanted.roles,
        ttl_seconds: wanted.ttl_seconds,
        claims: claims(&wanted.claims)?,
    };
    let rules = build::token_settings(settings)?;
    println!("{}", mint::mint(&rules, order, jiff::Timestamp::now().as_second())?);
    Ok(())
}

/// `pgfeed explain`.
pub async fn explain(
    settings: &Settings,
    target: &Target,
    table: &str,
    token: Option<&str>,
    key: &[String],
) -> anyhow::Result<()> {
    let policy = access::policy(settings)?;
    let admin = Admin::connect(target).await?;
    let table = admin.table(&TableName::parse(table)).await?;
    let row = match key {
        [] => None,
        key => {
            let key = key.iter().map(|it| pair(it)).collect::<anyhow::Result<Vec<_>>>()?;
            let row = admin.row(&table, &key).await?;
            Some(row.with_context(|| format!("{} has no row with this key", table.name))?)
        }
    };
    for error in policy.faults(&table) {
        println!("The policy does not fit the table: {error}.");
    }
    let verified = match token {
        None => None,
        Some(token) => {
            let verifier = Verifier::new(build::token_settings(settings)?)?;
            Some(verifier.verify(token, jiff::Timestamp::now().as_second()).await)
        }
    };
    let token = verified.as_ref().map(|it| it.as_ref().map_err(|error| *error));
    for step in explain::explain(&policy, token, &table, row.as_ref()) {
        println!("{step}");
    }
    Ok(())
}

/// A value that is JSON is that, any other is text.
fn claims(written: &[String]) -> anyhow::Result<Map<String, Value>> {
    let claim = |text: &String| {
        let (name, value) = pair(text)?;
        let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
        Ok((name, value))
    };
    written.iter().map(claim).collect()
}

fn pair(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => bail!("`{text}` is not of the form name=value"),
    }
}

#[cfg(test)]
mod tests {
    use super::claims;

    #[test]
    fn a_claim_is_json_or_else_text() {
        let written = ["a=1", "b=\"1\"", "c=x=y", "d=[1]", "e="].map(str::to_owned);
        let claims = serde_json::Value::Object(claims(&written).expect("claims"));
        let expected = serde_json::json!({"a": 1, "b": "1", "c": "x=y", "d": [1], "e": ""});
        assert_eq!(claims, expected);
        assert!(super::claims(&["x".to_owned()]).is_err());
    }
}
