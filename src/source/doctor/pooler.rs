//! Is there a pooler between that hands sessions around, where LISTEN and locks are lost?

use std::time::Duration;

use tokio::time::timeout;

use super::connect;
use crate::source::{Target, admin::Finding, log::SESSION};

/// A pooler with one server connection makes the second session wait for the first.
const LIMIT: Duration = Duration::from_secs(3);

const MEND: &str = "Connect pgfeed directly, or give it a database entry of its own in \
                    pgbouncer.ini with pool_mode=session.";

/// Two sessions take turns: in a session of its own, the backend stays the same whatever the
/// other one does; with transaction pooling the other one takes it over.
pub(super) async fn examine(target: &Target) -> Vec<Finding> {
    match timeout(LIMIT, look(target)).await {
        Ok(Ok(true)) => vec![Finding::ok("pooler", "each connection is a session of its own")],
        Ok(Ok(false)) => {
            let detail = "a pooler hands sessions around (pgbouncer in transaction mode?): \
                          LISTEN and advisory locks are lost there";
            vec![Finding::fail("pooler", detail, MEND)]
        }
        Ok(Err(why)) if why.contains("unsupported startup parameter") => {
            let detail = format!("a pooler refuses the session's settings: {why}");
            vec![Finding::fail("pooler", detail, MEND)]
        }
        Ok(Err(why)) => {
            let mend = "Raise max_connections, or lower database.pool_size.";
            vec![Finding::fail("pooler", format!("no two sessions at once: {why}"), mend)]
        }
        Err(_) => {
            let detail = "two sessions wait for each other: a pooler with too few connections";
            vec![Finding::fail("pooler", detail, MEND)]
        }
    }
}

async fn look(target: &Target) -> Result<bool, String> {
    let one = connect(target, &[]).await?;
    let other = connect(target, &[]).await?;
    let text = |error: tokio_postgres::Error| super::tell(&error);
    let mut is_same = true;
    let before = backend(&one).await.map_err(text)?;
    other.batch_execute("begin").await.map_err(text)?;
    for _ in 0..2 {
        is_same &= backend(&one).await.map_err(text)? == before;
        is_same &= backend(&other).await.map_err(text)? != before;
    }
    other.batch_execute("rollback").await.map_err(text)?;
    if is_same {
        // With the settings of the gateway's sessions, which a pooler may refuse.
        drop(connect(target, SESSION).await?);
    }
    Ok(is_same)
}

/// By the simple protocol, which every pooler passes on.
async fn backend(client: &tokio_postgres::Client) -> Result<String, tokio_postgres::Error> {
    let messages = client.simple_query("select pg_catalog.pg_backend_pid()").await?;
    let pid = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(pid.unwrap_or_default())
}
