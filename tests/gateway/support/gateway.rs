//! The compiled gateway as a process: started, stopped, killed, frozen, started again.

use std::{
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    time::Duration,
};

use super::{
    database::Database,
    http, spawn,
    wait::{PATIENCE, eventually, within},
};

/// The line on standard output that says where the gateway listens.
const READY: &str = "pgfeed is ready on http://";

/// How a gateway is to be started.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    command: &'static str,
    /// A program with its arguments that starts the gateway in its own place.
    under: Vec<String>,
    variables: Vec<(String, String)>,
    toml: String,
    listen: String,
}

impl Settings {
    /// Settings that let anyone read every watched table of this database.
    pub(crate) fn for_database(database: &Database) -> Self {
        Self::for_url(&database.url())
    }

    pub(crate) fn for_url(url: &str) -> Self {
        let settings = Self::of("serve");
        settings.with("DATABASE__URL", url).with("ACCESS__DEFAULT", "anyone")
    }

    /// Settings of `pgfeed dev`, which brings its own database and keeps it in this folder.
    pub(crate) fn dev(folder: &Path) -> Self {
        let mut settings = Self::of("dev");
        settings.variables.push(("TMPDIR".to_owned(), folder.display().to_string()));
        settings
    }

    fn of(command: &'static str) -> Self {
        let listen = "127.0.0.1:0".to_owned();
        Self { command, under: Vec::new(), variables: Vec::new(), toml: String::new(), listen }
    }

    /// The same with the variable `PGFEED__…` set.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((format!("PGFEED__{name}"), value.to_owned()));
        self
    }

    /// The same with any variable of the environment set.
    #[must_use]
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, started by another program that becomes the gateway.
    #[must_use]
    pub(crate) fn under(mut self, words: &[&str]) -> Self {
        self.under = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// The same with a settings file.
    #[must_use]
    pub(crate) fn with_file(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.toml);
        self
    }

    pub(crate) async fn start(self) -> Gateway {
        Gateway::start(self).await
    }
}

/// A gateway. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Gateway {
    process: Child,
    settings: Settings,
    address: SocketAddr,
    output: Arc<Mutex<String>>,
    _file: Option<NamedTempFile>,
}

impl Gateway {
    /// A gateway that anyone may read every watched table through, ready to serve.
    pub(crate) async fn serving(database: &Database) -> Self {
        let gateway = Settings::for_database(database).start().await;
        gateway.ready().await;
        gateway
    }

    /// Starts a gateway and waits until it says where it listens.
    pub(crate) async fn start(settings: Settings) -> Self {
        Self::start_with(settings, Arc::default()).await
    }

    async fn start_with(settings: Settings, output: Arc<Mutex<String>>) -> Self {
        let mut words = settings.under.clone();
        words.push(env!("CARGO_BIN_EXE_pgfeed").to_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(settings.command).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs(settings.variables.iter().cloned());
        command.env("PGFEED__SERVER__LISTEN", &settings.listen);
        let file = settings_file(&settings.toml);
        if let Some(file) = &file {
            command.arg("--config").arg(file.path());
        }
        let mut process = command.spawn().expect("the gateway starts");
        let stdout = process.stdout.take().expect("the pipe was asked for");
        let stderr = process.stderr.take().expect("the pipe was asked for");
        let (said_tx, mut said_rx) = watch::channel(None);
        spawn(listen(stdout, Arc::clone(&output), said_tx.clone()));
        spawn(listen(stderr, Arc::clone(&output), said_tx));
        let said = within(PATIENCE, "the gateway's ready line", said_rx.wait_for(Option::is_some));
        let address = said.await.ok().and_then(|said| *said);
        let printed = output.lock().expect("no reader panics").clone();
        let address = address.ok_or(printed).expect("the gateway says where it listens");
        Self { process, settings, address, output, _file: file }
    }

    /// Waits until it can serve exactly.
    pub(crate) async fn ready(&self) {
        eventually(PATIENCE, "/readyz to say 200", async || self.is_ready().await).await;
    }

    /// Whether it says that it can serve exactly.
    pub(crate) async fn is_ready(&self) -> bool {
        self.get("/readyz").await.is_some_and(|it| it.status == 200)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a feed on a WebSocket, with a query or without: `changes/?table=courses`.
    pub(crate) fn socket(&self, feed: &str) -> String {
        socket(self.address, feed)
    }

    pub(crate) async fn get(&self, path: &str) -> Option<http::Answer> {
        http::get(self.address, path).await
    }

    /// The sum of a metric over its labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.map(|it| it.body).unwrap_or_default();
        let is_its = |line: &&str| line.split(['{', ' ']).next() == Some(name);
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        text.lines().filter(is_its).filter_map(value).sum()
    }

    /// All that it printed.
    pub(crate) fn output(&self) -> String {
        self.output.lock().expect("no reader panics").clone()
    }

    /// Sends a signal by its name without `SIG`.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().await;
        assert!(sent.expect("`kill` runs").success(), "SIG{name} is sent");
    }

    /// Asks it to drain and waits for its end.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM").await;
        self.ended().await
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = within(Duration::from_secs(30), "the gateway's end", self.process.wait()).await;
        ended.expect("the gateway can be waited for")
    }

    /// Ends it as the kernel would, with no time for anything.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.expect("the gateway can be killed");
    }

    /// Starts it again where it listened before.
    pub(crate) async fn restart(&mut self) {
        let mut settings = self.settings.clone();
        settings.listen = self.address.to_string();
        let before = self.output();
        self.output.lock().expect("no reader panics").clear();
        let output = Arc::new(Mutex::new(format!("{before}--- started again:\n")));
        *self = Self::start_with(settings, output).await;
    }

    /// Memory in use, in KiB: now, and the most since [`Gateway::forget_peak`].
    pub(crate) fn memory_kib(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the gateway runs");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).expect("is in the file");
            line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number")
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// Lets the peak of memory start anew.
    pub(crate) fn forget_peak(&self) {
        let path = format!("/proc/{}/clear_refs", self.pid());
        std::fs::write(path, "5").expect("the peak can be reset");
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid()));
        open.expect("the gateway runs").count()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id().expect("the gateway runs")
    }
}

impl Drop for Gateway {
    /// A failed test shows what the gateway said.
    #[expect(clippy::print_stderr, reason = "where a failed test is read")]
    fn drop(&mut self) {
        if std::thread::panicking() && !self.output().is_empty() {
            eprintln!("--- the gateway on {} said:\n{}---", self.address, self.output());
        }
    }
}

/// The address of a feed at some gateway or proxy.
pub(crate) fn socket(address: SocketAddr, feed: &str) -> String {
    format!("ws://{address}/ws/{feed}")
}

fn settings_file(toml: &str) -> Option<NamedTempFile> {
    if toml.is_empty() {
        return None;
    }
    let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a settings file");
    std::fs::write(file.path(), toml).expect("the settings are written");
    Some(file)
}

/// Keeps what is printed, and looks for the ready line in it.
async fn listen(
    pipe: impl AsyncRead + Unpin,
    output: Arc<Mutex<String>>,
    said: watch::Sender<Option<SocketAddr>>,
) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some((_, address)) = line.split_once(READY) {
            let address: String = address
                .chars()
                .take_while(|it| it.is_ascii_digit() || ".:".contains(*it))
                .collect();
            said.send_replace(address.parse().ok());
        }
        let mut output = output.lock().expect("no reader panics");
        output.push_str(&line);
        output.push('\n');
    }
}
