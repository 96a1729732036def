//! `pgfeed serve`: the gateway, from the settings to the drain.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access::SettingsAccess,
    build::{self, Feed},
    ready::tell_manager,
};
use crate::{
    http::{
        Server,
        routes::{self, Site},
    },
    settings::Settings,
    source::Target,
    tasks,
    telemetry::metrics::Metrics,
};

/// How long the ready line waits for the database.
const REACH_LIMIT: Duration = Duration::from_secs(3);

/// Serves until a signal, then drains. `greet` is called once with the address.
pub async fn run(
    settings: Settings,
    target: Target,
    greet: impl FnOnce(std::net::SocketAddr, bool),
) -> anyhow::Result<()> {
    let metrics = Metrics::install().context("metrics cannot be recorded")?;
    raise_descriptors(&settings);
    let mut end = signals()?;
    let door = build::door(&settings)?;
    let listener = TcpListener::bind(settings.server.listen)
        .await
        .with_context(|| format!("server.listen: {} cannot be taken", settings.server.listen))?;
    let address = listener.local_addr()?;
    let access = Arc::new(SettingsAccess::new(settings.clone()));
    let feed = Feed::start(&settings, target, access);
    let connections = TaskTracker::new();
    let site = Arc::new(Site {
        context: Arc::clone(&feed.context),
        door,
        connections: connections.clone(),
        ready_lag_max_ms: settings.server.ready_lag_max_ms,
        retry_spread_ms: settings.server.retry_spread_ms,
        metrics: feed.render(metrics.clone(), settings.server.ready_lag_max_ms),
    });
    let drain = CancellationToken::new();
    let keeping_up = tasks::spawn("metrics", metrics.keep_up(drain.clone()));
    let head_limit = Duration::from_millis(settings.limits.handshake_timeout_ms);
    let server = Server::new(listener, head_limit, drain.clone(), connections.clone());
    let accepting = tasks::spawn("accept", server.run(routes::public(site)));
    let is_reached = tokio::select! {
        reached = timeout(REACH_LIMIT, feed.reached()) => reached.is_ok(),
        () = end.arrives() => { drain.cancel(); false }
    };
    if !drain.is_cancelled() {
        greet(address, is_reached);
        tell_manager("READY=1");
        end.arrives().await;
    }
    tell_manager("STOPPING=1");
    tracing::info!("Draining.");
    feed.context.drain.cancel();
    drain.cancel();
    connections.close();
    let drained = timeout(Duration::from_millis(settings.server.drain_ms), connections.wait());
    if drained.await.is_err() {
        tracing::warn!(left = connections.len(), "Connections are cut: they did not end in time.");
    }
    accepting.abort();
    keeping_up.abort();
    feed.stop().await;
    tracing::info!("Drained.");
    Ok(())
}

/// The signals that end the program.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    async fn arrives(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn signals() -> anyhow::Result<Signals> {
    Ok(Signals {
        terminate: signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?,
        interrupt: signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?,
    })
}

/// Each connection takes a descriptor, and some are for the database, files and health.
fn raise_descriptors(settings: &Settings) {
    const OTHERS: u64 = 100;
    let wanted = settings.limits.connections_max as u64 + OTHERS;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(got) if got < wanted => tracing::warn!(
            got,
            wanted,
            "The limit of open files is below limits.connections_max: raise `ulimit -n`."
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "The limit of open files cannot be raised."),
    }
}
