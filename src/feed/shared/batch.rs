//! Questions put together: one at a time is under way, and the rest are the next one.

use std::sync::{Arc, Mutex, MutexGuard};

use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::pace::Pace;
use crate::{feed::LogError, tasks};

/// What a question for all is answered with, in its order.
type Answers<V> = BoxFuture<'static, Result<Vec<V>, LogError>>;

type Run<K, V> = dyn Fn(Vec<K>) -> Answers<V> + Send + Sync;

/// Where an answer goes.
type Asker<V> = oneshot::Sender<Result<V, LogError>>;

/// Asks for many keys at once; the answers come in the keys' order.
pub(super) struct Batch<K, V> {
    run: Box<Run<K, V>>,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    waiting: Vec<(K, Asker<V>)>,
    is_running: bool,
    /// Whoever runs has it.
    pace: Pace,
}

impl<K: Send + 'static, V: Send + 'static> Batch<K, V> {
    pub(super) fn new(run: impl Fn(Vec<K>) -> Answers<V> + Send + Sync + 'static) -> Arc<Self> {
        let state =
            Mutex::new(State { waiting: Vec::new(), is_running: false, pace: Pace::default() });
        Arc::new(Self { run: Box::new(run), state })
    }

    pub(super) async fn ask(self: &Arc<Self>, key: K) -> Result<V, LogError> {
        let (answer_tx, answer) = oneshot::channel();
        let is_first = {
            let mut state = self.state();
            state.waiting.push((key, answer_tx));
            !std::mem::replace(&mut state.is_running, true)
        };
        if is_first {
            // It ends when nobody waits.
            drop(tasks::spawn("batch", Arc::clone(self).serve()));
        }
        answer.await.unwrap_or_else(|_| Err(broken_off()))
    }

    async fn serve(self: Arc<Self>) {
        let mut pace = std::mem::take(&mut self.state().pace);
        loop {
            pace.wait().await;
            let waiting = {
                let mut state = self.state();
                let waiting = std::mem::take(&mut state.waiting);
                state.is_running = !waiting.is_empty();
                if waiting.is_empty() {
                    state.pace = pace;
                    return;
                }
                waiting
            };
            pace.ask(waiting.len());
            metrics::counter!("pgfeed_shared_lookups_total").increment(1);
            let (keys, askers): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            match (self.run)(keys).await {
                Ok(answers) => {
                    for (asker, answer) in askers.into_iter().zip(answers) {
                        // Who asked may be gone.
                        drop(asker.send(Ok(answer)));
                    }
                }
                Err(error) => {
                    for asker in askers {
                        drop(asker.send(Err(error.clone())));
                    }
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().expect("no holder of a batch panics")
    }
}

fn broken_off() -> LogError {
    LogError { message: "the read broke off".to_owned(), is_transient: true }
}
