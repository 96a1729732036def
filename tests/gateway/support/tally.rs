//! A wire to the database that counts the statements which pass it, by their text.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    task::JoinSet,
    time::{Duration, Instant},
};

/// `SSLRequest` and `GSSENCRequest`, which come before the start and have no type.
const BEFORE_START: [u32; 2] = [80_877_103, 80_877_104];

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

/// The wire. It listens on a port of its own; dropping it ends everything.
#[derive(Debug)]
pub(crate) struct Tally {
    address: SocketAddr,
    counts: Counts,
    since: Mutex<Instant>,
    _tasks: JoinSet<()>,
}

impl Tally {
    /// A wire to the server on this port.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound port has an address");
        let counts = Counts::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, port, Arc::clone(&counts)));
        Self { address, counts, since: Mutex::new(Instant::now()), _tasks: tasks }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The statements since the last call.
    pub(crate) fn take(&self) -> Statements {
        let now = Instant::now();
        let mut kept = self.since.lock().expect("no holder panics");
        let since = std::mem::replace(&mut *kept, now);
        let counts = std::mem::take(&mut *self.counts.lock().expect("no holder panics"));
        Statements { counts, lasted: now - since }
    }
}

/// Statements by their text, `begin` and `commit` among them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statements {
    counts: BTreeMap<String, u64>,
    pub(crate) lasted: Duration,
}

impl Statements {
    /// Those that come on top of what a gateway asks without clients, of which `idle` is a sample.
    pub(crate) fn beside(mut self, idle: &Self) -> Self {
        let idle = idle.clone().without_reads();
        let times = self.lasted.as_secs_f64() / idle.lasted.as_secs_f64();
        self = self.without_reads();
        for (text, count) in &mut self.counts {
            let Some(usual) = idle.counts.get(text) else { continue };
            let usual = Duration::from_secs(*usual).mul_f64(times).as_secs() + 1;
            *count = count.saturating_sub(usual);
        }
        self.counts.retain(|_, count| *count > 0);
        self
    }

    /// The reader's own reads are known by their first question, which counts for all of each.
    fn without_reads(mut self) -> Self {
        let has = |text: &str, word: &str| text.contains(word);
        let heads = self.counts.iter().filter(|(text, _)| has(text, "pg_current_snapshot()"));
        let heads: u64 = heads.map(|(_, count)| count).sum();
        for (text, count) in &mut self.counts {
            let is_part =
                ["begin isolation", "commit", "select d.watch,", "select l.id, l.xid, l.at,"]
                    .iter()
                    .any(|word| has(text, word) && !has(text, "from pgfeed.log l where"));
            if is_part {
                *count = count.saturating_sub(heads);
            }
        }
        self
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.values().sum()
    }
}

impl fmt::Display for Statements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: Vec<_> = self.counts.iter().map(|(text, count)| (count, text)).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts.iter().try_for_each(|(count, text)| writeln!(f, "{count:>6} {text}"))
    }
}

async fn accept(listener: TcpListener, port: u16, counts: Counts) {
    let mut wires = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        wires.spawn(carry(client, port, Arc::clone(&counts)));
        while wires.try_join_next().is_some() {}
    }
}

async fn carry(client: TcpStream, port: u16, counts: Counts) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let mut wire = Asking { from: from_client, counts, statements: HashMap::new() };
    let mut to_server = to_server;
    tokio::select! {
        _ended = wire.pump(&mut to_server) => {}
        _ended = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}

/// The client's side of a conversation.
struct Asking {
    from: OwnedReadHalf,
    counts: Counts,
    /// The texts of prepared statements, and what portals are bound to.
    statements: HashMap<(u8, Vec<u8>), String>,
}

impl Asking {
    async fn pump(&mut self, to: &mut (impl AsyncWriteExt + Unpin)) -> io::Result<()> {
        loop {
            let start = self.message(None).await?;
            to.write_all(&start).await?;
            let code = u32::from_be_bytes(start[4..8].try_into().expect("four bytes"));
            if !BEFORE_START.contains(&code) {
                break;
            }
        }
        loop {
            let kind = self.from.read_u8().await?;
            let message = self.message(Some(kind)).await?;
            self.note(kind, &message[5..]);
            to.write_all(&message).await?;
        }
    }

    async fn message(&mut self, kind: Option<u8>) -> io::Result<Vec<u8>> {
        let length = self.from.read_u32().await?;
        let mut bytes: Vec<u8> = kind.into_iter().collect();
        bytes.extend(length.to_be_bytes());
        let head = bytes.len();
        bytes.resize(head - 4 + usize::try_from(length).expect("is small"), 0);
        self.from.read_exact(&mut bytes[head..]).await?;
        Ok(bytes)
    }

    fn note(&mut self, kind: u8, body: &[u8]) {
        let mut words = body.split(|byte| *byte == 0);
        let mut word = || words.next().unwrap_or_default().to_vec();
        match kind {
            b'Q' => {
                let text = String::from_utf8_lossy(&word()).into_owned();
                for one in text.split(';').filter(|it| !it.trim().is_empty()) {
                    self.count(one);
                }
            }
            b'P' => {
                let (name, text) = (word(), word());
                let text = String::from_utf8_lossy(&text).into_owned();
                self.statements.insert((b'S', name), text);
            }
            b'B' => {
                let (portal, name) = (word(), word());
                let text = self.statements.get(&(b'S', name)).cloned().unwrap_or_default();
                self.statements.insert((b'P', portal), text);
            }
            b'E' => {
                let text = self.statements.get(&(b'P', word())).cloned().unwrap_or_default();
                self.count(&text);
            }
            _ => {}
        }
    }

    fn count(&self, text: &str) {
        let words: Vec<&str> = text.split_whitespace().take(12).collect();
        *self.counts.lock().expect("no holder panics").entry(words.join(" ")).or_default() += 1;
    }
}
