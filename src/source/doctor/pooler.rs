//! Is there a pooler between that hands sessions around, where LISTEN and locks are lost?

use std::time::Duration;

use tokio::time::timeout;

use super::connect;
use crate::source::{Target, admin::Finding, log::SESSION};

/// A pooler with one server connection makes the second session wait for the first.
const LIMIT: Duration = Duration::from_secs(3);

const MEND: &str = "Connect pgfeed directly, or give it a database entry of its own in \
                    pgbouncer.ini with pool_mode=session.";

/// Sessions take turns: in a session of its own, the backend stays the same whatever the others
/// do; with transaction pooling one of them takes it over.
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
    /// The first of them may be given a backend of its own by chance; the next is given the idle
    /// one, if that is to be had.
    const OTHERS: usize = 2;
    let text = |error: tokio_postgres::Error| super::tell(&error);
    let one = connect(target, &[]).await?;
    let before = backend(&one).await.map_err(text)?;
    let (mut others, mut is_same) = (Vec::new(), true);
    while is_same && others.len() < OTHERS {
        let other = connect(target, &[]).await?;
        // It keeps its backend while the transaction is open.
        other.batch_execute("begin").await.map_err(text)?;
        is_same &= backend(&other).await.map_err(text)? != before;
        others.push(other);
        is_same &= backend(&one).await.map_err(text)? == before;
    }
    drop(others);
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
