//! The subscriptions of a client that says everything once, in its URL.

use super::{Session, refusal::Refusal, shapes::Since, telling::Telling};
use crate::wire::{Code, Subscribe};

impl Session {
    /// Subscribes to all of them, or to none and says why.
    ///
    /// They share one cursor, the client's `Last-Event-ID`. So several that begin without one
    /// begin from one place all the same: from the first cursor that the client is told.
    pub fn stream(&mut self, mut requests: Vec<Subscribe>) -> Result<(), Refusal> {
        let shared = self.shared();
        let queue = &shared.queue;
        let is_single = requests.len() == 1;
        queue.telling(|it| it.set_single(is_single));
        let shapes = requests
            .iter()
            .map(|request| shared.spec(request).map(|spec| spec.shape()))
            .collect::<Result<Vec<_>, _>>()?;
        let bad = |bad: crate::change::BadCursor| Refusal::new(Code::BadCursor, bad.to_string());
        let mut first = None;
        for request in &mut requests {
            if let Some(since) = &mut request.since {
                *since = Since::unfolded(since, &shapes).map_err(bad)?;
            } else if !is_single && !request.snapshot {
                let now = || shared.context.hub.now().map(|(_, _, mark)| mark.text);
                first = first.or_else(now);
                request.since = first.as_deref().map(str::to_owned);
            }
        }
        if let Some(cursor) = first {
            queue.telling(|it| it.set_shapes(&shapes));
            queue.push_bytes(queue.telling(|it| it.id_line(&cursor)));
        }
        requests.into_iter().try_for_each(|request| self.try_subscribe(request))?;
        // Since it was opened: each subscription withholds for itself now.
        self.shared().queue.telling(Telling::release);
        Ok(())
    }

    /// Cancelled when the gateway drains.
    pub fn drain(&self) -> tokio_util::sync::CancellationToken {
        self.shared().context.drain.clone()
    }
}
