//! `pgfeed serve`: the gateway, from the settings to the drain.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access,
    build::{self, Feed},
    console,
    fitness::{Fitness, Unfit},
    ready::tell_manager,
};
use crate::{
    auth::Policy,
    http::{
        Server,
        routes::{self, Side, Site},
        server,
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
    greet: impl FnOnce(SocketAddr, bool),
) -> anyhow::Result<()> {
    // Before the parts start, which look their counters up once.
    let metrics = Metrics::install().context("metrics cannot be recorded")?;
    let sockets_max = raise_descriptors(&settings);
    let mut end = signals()?;
    let door = build::door(&settings).map_err(|it| Unfit(vec![format!("{it:#}")]))?;
    let policy = Arc::new(access::policy(&settings).map_err(|it| Unfit(vec![it.to_string()]))?);
    let feeds = Arc::new(access::feeds(&settings).map_err(|it| Unfit(vec![it.to_string()]))?);
    let public = bind("server.listen", settings.server.listen)?;
    let admin = match settings.server.admin_listen {
        Some(address) => Some(bind("server.admin_listen", address)?),
        None => None,
    };
    let address = public.local_addr()?;
    let access = Arc::<Policy>::clone(&policy);
    let feed = Feed::start(&settings, target, access, Some(Arc::clone(&policy)));
    let (hub, log) = (Arc::clone(&feed.context.hub), Arc::clone(&feed.log));
    let connections = TaskTracker::new();
    let drain = CancellationToken::new();
    let (sizes, measuring) = console::measure(&settings, &feed, &drain).unzip();
    let fitness = Arc::new(Fitness::new(policy, Arc::clone(&feeds), log, hub));
    let keeping_up = tasks::spawn("metrics", metrics.clone().keep_up(drain.clone()));
    let site = Arc::new(Site {
        context: Arc::clone(&feed.context),
        door,
        feeds,
        connections: connections.clone(),
        ready_lag_max_ms: settings.server.ready_lag_max_ms,
        retry_spread_ms: settings.server.retry_spread_ms,
        metrics: feed.render(metrics, &fitness, settings.server.ready_lag_max_ms),
        fitness: {
            let fitness = Arc::clone(&fitness);
            Box::new(move || fitness.state())
        },
        console: sizes,
    });
    let limits = limits(&settings, sockets_max);
    let mut accepting = Vec::new();
    let side = if admin.is_some() { Side::Public } else { Side::Both };
    for (listener, side) in [(Some(public), side), (admin, Side::Admin)] {
        let Some(listener) = listener else { continue };
        let server = Server::new(listener, limits, drain.clone(), connections.clone());
        accepting.push(tasks::spawn("accept", server.run(routes::all(Arc::clone(&site), side))));
    }
    let (first_tx, first_rx) = oneshot::channel();
    let watching = tasks::spawn("fitness", fitness.run(first_tx, drain.clone()));
    let ended = until_end(first_rx, &mut end, |is_reached| {
        greet(address, is_reached);
        tell_manager("READY=1");
    })
    .await;
    tell_manager("STOPPING=1");
    tracing::info!("Draining.");
    feed.context.drain.cancel();
    drain.cancel();
    connections.close();
    let drained = timeout(Duration::from_millis(settings.server.drain_ms), connections.wait());
    if drained.await.is_err() {
        tracing::warn!(left = connections.len(), "Connections are cut: they did not end in time.");
    }
    accepting.iter().for_each(tokio::task::JoinHandle::abort);
    watching.abort();
    keeping_up.abort();
    measuring.iter().for_each(tokio::task::JoinHandle::abort);
    feed.stop().await;
    tracing::info!("Drained.");
    ended
}

fn limits(settings: &Settings, sockets_max: usize) -> server::Limits {
    server::Limits {
        head: Duration::from_millis(settings.limits.handshake_timeout_ms),
        stall: Duration::from_millis(settings.limits.stall_timeout_ms),
        sockets_max,
    }
}

/// Waits for a signal; settings that do not fit the database end it before, with the reason.
async fn until_end(
    mut first_rx: oneshot::Receiver<Result<(), Unfit>>,
    end: &mut Signals,
    greet: impl FnOnce(bool),
) -> anyhow::Result<()> {
    let first = tokio::select! {
        first = timeout(REACH_LIMIT, &mut first_rx) => first.ok(),
        () = end.arrives() => return Ok(()),
    };
    let is_reached = first.is_some();
    if let Some(Ok(verdict)) = first {
        verdict?;
    }
    greet(is_reached);
    if is_reached {
        end.arrives().await;
        return Ok(());
    }
    tokio::select! {
        Ok(verdict) = first_rx => verdict?,
        () = end.arrives() => return Ok(()),
    }
    end.arrives().await;
    Ok(())
}

fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    listen(address).with_context(|| format!("{key}: {address} cannot be taken"))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    // As many as the kernel lets wait (net.core.somaxconn). After a restart everybody comes at
    // once, and who finds the queue full knocks again only after one second, then three.
    const WAITING_MAX: u32 = 65_535;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
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

/// Each connection takes a descriptor, and some are for the database, files and health. Gives how
/// many sockets may be open.
fn raise_descriptors(settings: &Settings) -> usize {
    const OTHERS: u64 = 100;
    let wanted = settings.limits.connections_max as u64 + 2 * OTHERS;
    let got = rlimit::increase_nofile_limit(wanted).unwrap_or_else(|error| {
        tracing::warn!(%error, "The limit of open files cannot be raised.");
        wanted
    });
    if got < wanted {
        tracing::warn!(
            got,
            wanted,
            "The limit of open files is below limits.connections_max: raise `ulimit -n`."
        );
    }
    // What is not yet a client, such as a health check, has room beside all clients.
    usize::try_from(got.min(wanted).saturating_sub(OTHERS).max(16)).unwrap_or(usize::MAX)
}
