//! From settings to parts.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::fitness::Fitness;
use crate::{
    auth::{
        Policy,
        address::Proxies,
        jwks::Pace,
        origin::Origins,
        token::{self, AuthKeys, Verifier},
    },
    feed::{Hub, Relay, relay::Rhythm, shared::Shared},
    http::{Door, door::Rules, ready::State},
    session::{Access, Context, Limits},
    settings::{Settings, sections::KeySource},
    source::{Listener, PgLog, Retention, Target, Wake, log::SESSION, retention::Keep},
    tasks,
    telemetry::metrics::Metrics,
};

/// The running parts from the database to the hub.
pub struct Feed {
    /// What sessions share.
    pub context: Arc<Context>,
    /// The log.
    pub log: Arc<PgLog>,
    size_max: f64,
    end: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl Feed {
    /// Connects the parts and starts them; `undurable` says whose hand-written payloads count.
    pub fn start(
        settings: &Settings,
        target: Target,
        access: Arc<dyn Access>,
        undurable: Option<Arc<Policy>>,
    ) -> Self {
        let tail_bytes_max = usize::try_from(settings.log.tail_bytes_max.0).unwrap_or(usize::MAX);
        let wake = Arc::new(Wake::default());
        let read_now = Arc::clone(&wake);
        let hub = Hub::new(tail_bytes_max, move || read_now.wake());
        let pool = target.pool(settings.database.pool_size, SESSION);
        let keep = Keep { retention: settings.log.retention.0, size_max: settings.log.size_max.0 };
        let retention = Retention::new(pool.clone(), keep);
        let log = Arc::new(PgLog::new(
            target.clone(),
            pool,
            Arc::clone(&wake),
            usize::try_from(settings.log.row_bytes_max.0).unwrap_or(usize::MAX),
        ));
        let (undurable_tx, undurable_rx) = mpsc::channel(1_024);
        let undurable = super::access::undurable(undurable, &hub);
        let listener = Listener::new(target, wake, undurable, undurable_tx);
        let poll = std::time::Duration::from_millis(settings.database.poll_ms);
        let relay = Relay::new(Arc::clone(&log), Arc::clone(&hub), Rhythm { poll }, undurable_rx);
        let end = CancellationToken::new();
        let mut running = hub.run_shards(settings.server.heartbeat_ms);
        running.push(tasks::spawn("listener", listener.run(end.clone())));
        running.push(tasks::spawn("retention", retention.run(end.clone())));
        running.push(tasks::spawn("relay", relay.run(end.clone())));
        let context = Arc::new(Context {
            hub,
            history: Arc::new(Shared::new(Arc::<PgLog>::clone(&log))),
            access,
            limits: limits(settings),
            snapshots: Arc::new(Semaphore::new(settings.limits.snapshots_max)),
            heartbeat_ms: settings.server.heartbeat_ms,
            drain: CancellationToken::new(),
        });
        #[expect(clippy::cast_precision_loss, reason = "a size, for a graph")]
        let size_max = settings.log.size_max.0 as f64;
        Self { context, log, size_max, end, running }
    }

    /// Renders metrics, with what is only looked at when somebody asks.
    pub fn render(
        &self,
        metrics: Metrics,
        fitness: &Arc<Fitness>,
        ready_lag_max_ms: u64,
    ) -> Box<dyn Fn() -> String + Send + Sync> {
        let (context, log) = (Arc::clone(&self.context), Arc::clone(&self.log));
        let (fitness, size_max) = (Arc::clone(fitness), self.size_max);
        Box::new(move || {
            log.measure_pool();
            let lag_ms = context.hub.lag_ms();
            let is_ready = lag_ms.is_some_and(|lag_ms| lag_ms <= ready_lag_max_ms)
                && !context.drain.is_cancelled()
                && fitness.state() == State::Fit;
            if let Some(lag_ms) = lag_ms {
                let lag = std::time::Duration::from_millis(lag_ms);
                metrics::gauge!("pgfeed_lag_seconds").set(lag.as_secs_f64());
            }
            metrics::gauge!("pgfeed_ready").set(if is_ready { 1.0 } else { 0.0 });
            metrics::gauge!("pgfeed_log_size_max_bytes").set(size_max);
            metrics.render()
        })
    }

    /// Ends the parts and waits for them.
    pub async fn stop(self) {
        self.end.cancel();
        self.context.hub.close();
        for task in self.running {
            if let Err(error) = task.await {
                tracing::error!(%error, "A part did not end well.");
            }
        }
    }
}

/// Waits until the log has been read for the first time.
pub async fn reached(hub: &Hub) {
    let mut heads = hub.heads();
    while hub.lag_ms().is_none() {
        let change = tokio::time::timeout(std::time::Duration::from_millis(20), heads.changed());
        // The first read may bring no chunk: look again.
        change.await.map_or(Ok(()), |changed| changed).unwrap_or_default();
    }
}

/// The database that the settings lead to.
pub fn target(settings: &Settings) -> anyhow::Result<Target> {
    // What is no text is none of libpq's: it belongs to another program.
    let lookup = |name: &str| std::env::var_os(name)?.into_string().ok();
    let target = Target::parse(settings.database.url.expose(), &lookup)
        .context("database.url cannot be used")?;
    for warning in target.warnings() {
        tracing::warn!(warning, "The connection string was taken with a remark.");
    }
    Ok(target)
}

/// What tokens must be like, by the settings.
pub fn token_settings(settings: &Settings) -> anyhow::Result<token::Settings> {
    let auth = &settings.auth;
    let keys = match auth.key_source() {
        None => AuthKeys::None,
        Some(KeySource::Secret(secret)) => AuthKeys::Secret(secret.expose().as_bytes().to_vec()),
        Some(KeySource::PublicKeyFile(path)) => {
            let pem = std::fs::read_to_string(&path)
                .with_context(|| format!("auth.jwt_public_key_file: {}", path.display()))?;
            AuthKeys::PublicKey(pem)
        }
        Some(KeySource::JwksFile(path)) => AuthKeys::JwksFile(path),
        Some(KeySource::JwksUrl(url)) => AuthKeys::JwksUrl(url),
    };
    Ok(token::Settings {
        keys,
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        role_claim: auth.role_claim.clone(),
        leeway_seconds: token::LEEWAY_SECONDS,
    })
}

/// What checks tokens, by the settings.
pub fn verifier(settings: &Settings) -> anyhow::Result<Verifier> {
    let apart = std::time::Duration::from_millis(settings.auth.jwks_refetch_min_ms);
    let pace = Pace { apart, ..Pace::default() };
    Verifier::with_pace(token_settings(settings)?, pace)
        .context("auth: no verifier of tokens can be made")
}

/// Who may come in, by the settings.
pub fn door(settings: &Settings) -> anyhow::Result<Arc<Door>> {
    let verifier = verifier(settings)?;
    // The log tells how that went, before the first reader is refused.
    drop(verifier.warm());
    let server = &settings.server;
    let origins = Origins::new(server.allowed_origins.iter().map(String::as_str))
        .context("server.allowed_origins")?;
    let proxies = Proxies::new(&server.trusted_proxies).context("server.trusted_proxies")?;
    let limits = &settings.limits;
    Ok(Door::new(Rules {
        origins,
        proxies,
        verifier,
        connections_max: limits.connections_max,
        per_address_max: limits.connections_per_ip_max,
        per_subject_max: limits.connections_per_subject_max,
    }))
}

fn limits(settings: &Settings) -> Limits {
    let limits = &settings.limits;
    Limits {
        subscriptions_max: limits.subscriptions_per_connection_max,
        scanned_terms_max: limits.scanned_terms_per_connection_max,
        indexed_values_max: limits.indexed_values_per_connection_max,
        message_bytes_max: limits.message_bytes_max,
        messages_per_second_max: limits.messages_per_second_max,
        client_errors_max: limits.client_errors_max,
        stall: std::time::Duration::from_millis(limits.stall_timeout_ms),
        queue_bytes_max: limits.queue_bytes_max,
        filter: crate::feed::filter::Limits {
            bytes_max: limits.filter_bytes_max,
            depth_max: limits.filter_depth_max,
        },
    }
}
