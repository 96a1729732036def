//! A wire between two programs that can be cut, stalled, delayed, reset and restored.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::{self, Duration},
};

/// What the wire does at this moment.
#[derive(Clone, Debug)]
struct Plan {
    target: SocketAddr,
    /// Bytes are taken from neither side: a black hole to both.
    stalled: bool,
    delay: Duration,
    /// Raised to end all connections there are.
    cuts: u64,
    /// Whether they end by a reset instead of in good order.
    reset: bool,
}

/// The wire. It listens on a port of its own; dropping it ends everything.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    plan: watch::Sender<Plan>,
    /// How many bytes may still go to the client before the wire is cut.
    budget: Arc<AtomicI64>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// A wire to `target`.
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound port has an address");
        let delay = Duration::ZERO;
        let (plan, _) =
            watch::channel(Plan { target, stalled: false, delay, cuts: 0, reset: false });
        let budget = Arc::new(AtomicI64::new(i64::MAX));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, plan.clone(), Arc::clone(&budget)));
        Self { address, plan, budget, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections in good order; new ones are made as before.
    pub(crate) fn cut(&self) {
        self.plan.send_modify(|plan| {
            plan.reset = false;
            plan.cuts += 1;
        });
    }

    /// Ends all connections by a reset.
    pub(crate) fn reset(&self) {
        self.plan.send_modify(|plan| {
            plan.reset = true;
            plan.cuts += 1;
        });
    }

    /// Lets nothing through any more, without telling anybody.
    pub(crate) fn stall(&self) {
        self.plan.send_modify(|plan| plan.stalled = true);
    }

    /// Keeps what passes back for a while.
    pub(crate) fn delay(&self, delay: Duration) {
        self.plan.send_modify(|plan| plan.delay = delay);
    }

    /// Cuts the wire when this many more bytes have gone to the client, in the middle of whatever.
    pub(crate) fn cut_after(&self, bytes: i64) {
        self.budget.store(bytes, Ordering::SeqCst);
    }

    /// All is well again.
    pub(crate) fn restore(&self) {
        self.budget.store(i64::MAX, Ordering::SeqCst);
        self.plan.send_modify(|plan| {
            plan.stalled = false;
            plan.delay = Duration::ZERO;
        });
    }
}

async fn accept(listener: TcpListener, plan: watch::Sender<Plan>, budget: Arc<AtomicI64>) {
    let mut wires = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        wires.spawn(carry(client, plan.subscribe(), Arc::clone(&budget)));
        while wires.try_join_next().is_some() {}
    }
}

async fn carry(mut client: TcpStream, plan: watch::Receiver<Plan>, budget: Arc<AtomicI64>) {
    let target = plan.borrow().target;
    let cuts = plan.borrow().cuts;
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let endless = AtomicI64::new(i64::MAX);
        let mut watched = plan.clone();
        let both = async {
            tokio::try_join!(
                pump(from_client, to_server, plan.clone(), &endless),
                pump(from_server, to_client, plan.clone(), &budget),
            )
        };
        tokio::select! {
            _ended = both => {}
            _cut = watched.wait_for(|plan| plan.cuts != cuts) => {}
        }
    }
    if plan.borrow().reset {
        for end in [&client, &server] {
            end.set_zero_linger().expect("an open socket takes the option");
        }
    }
}

/// Carries bytes one way to their end; an error where the whole wire must end.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut plan: watch::Receiver<Plan>,
    budget: &AtomicI64,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        let delay = plan.borrow().delay;
        time::sleep(delay).await;
        if plan.wait_for(|plan| !plan.stalled).await.is_err() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if count == 0 {
            return to.shutdown().await;
        }
        let count = i64::try_from(count).expect("a buffer's length fits");
        let left = budget.fetch_sub(count, Ordering::SeqCst);
        let allowed = usize::try_from(count.min(left)).unwrap_or(0);
        to.write_all(&buffer[..allowed]).await?;
        if left <= count {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
    }
}
