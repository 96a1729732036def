//! Processes of one run: started, waited for until ready, ended with their owner.
//!
//! Each is tied to this process by the kernel too, so that a killed run leaves nothing behind.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

const READY_WITHIN: Duration = Duration::from_mins(1);
const END_WITHIN: Duration = Duration::from_secs(15);

/// A server under measurement or the database; ended when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    end_signal: &'static str,
}

/// Where and how a process runs.
pub(crate) struct Launch<'a> {
    pub(crate) name: &'a str,
    pub(crate) folder: &'a Path,
    /// Another user, where this one is root and the program refuses that.
    pub(crate) user: Option<&'a str>,
    pub(crate) end_signal: &'static str,
    /// A process whose network namespace it shall be in, where that is not this one's.
    pub(crate) namespace: Option<u32>,
}

/// The start of a command: its process gets the signal when this one ends. What it runs and enters
/// becomes that very process, so that its CPU time is read by the number of the child.
pub(crate) fn tied(end_signal: &str, namespace: Option<u32>) -> Command {
    let mut command = match namespace {
        None => Command::new("setpriv"),
        Some(pid) => {
            let mut command = Command::new("nsenter");
            command.args(["--target", &pid.to_string(), "--net", "setpriv"]);
            command
        }
    };
    command.args(["--pdeathsig", end_signal]);
    command
}

impl Process {
    /// Starts a program; what it prints goes to a file in the folder of the run.
    pub(crate) fn start(launch: &Launch<'_>, program: &Command) -> Result<Self> {
        let log = launch.folder.join(format!("{}.log", launch.name));
        let out = File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = tied(launch.end_signal, launch.namespace);
        if let Some(user) = launch.user {
            command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        }
        command.arg(program.get_program()).args(program.get_args());
        for (key, value) in program.get_envs() {
            if let Some(value) = value {
                command.env(key, value);
            }
        }
        if let Some(folder) = program.get_current_dir() {
            command.current_dir(folder);
        }
        command.stdin(Stdio::piped()).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| launch.name.to_owned())?;
        let name = launch.name.to_owned();
        Ok(Self { name, child, log, end_signal: launch.end_signal })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdin(&mut self) -> Result<&mut ChildStdin> {
        self.child.stdin.as_mut().context("standard input")
    }

    /// The address in the line `<name> is ready on http://<address>/`.
    pub(crate) async fn address(&mut self) -> Result<SocketAddr> {
        const SIGN: &str = " is ready on http://";
        let until = Instant::now() + READY_WITHIN;
        loop {
            let printed = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some((_, rest)) = printed.split_once(SIGN)
                && let Some((address, _)) = rest.split_once(['/', '\n', ' '])
            {
                let address = address.parse();
                return address.with_context(|| format!("the address {} printed", self.name));
            }
            self.check(&printed)?;
            if Instant::now() > until {
                bail!("{} is not ready: {printed}", self.name);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fails where the process has ended.
    pub(crate) fn check(&mut self, printed: &str) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended ({status}): {printed}", self.name),
            None => Ok(()),
        }
    }

    /// Ends the process at once, as a crash would.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-s", self.end_signal, &pid]).status()?;
        let until = Instant::now() + END_WITHIN;
        while Instant::now() < until {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            pause(Duration::from_millis(10));
        }
        self.kill()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; the kernel's tie remains.
        self.end().ok();
    }
}

/// CPU time of a process and its descendants in seconds, the ended ones included.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    /// `USER_HZ`: what Linux counts in for user space on every architecture.
    const TICKS_PER_SECOND: f64 = 100.0;
    let ticks: u64 =
        tree(pid).into_iter().map(|pid| stat_fields(pid, 11, 4).iter().sum::<u64>()).sum();
    #[expect(clippy::cast_precision_loss, reason = "ticks stay far below 2^52")]
    let ticks = ticks as f64;
    ticks / TICKS_PER_SECOND
}

/// Resident memory of a process and its descendants in bytes.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    tree(pid).into_iter().map(resident_of).sum()
}

fn resident_of(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn tree(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut index = 0;
    while let Some(parent) = all.get(index).copied() {
        let path = format!("/proc/{parent}/task/{parent}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        index += 1;
    }
    all
}

/// Fields of `/proc/PID/stat` counted after the name, which may hold anything.
fn stat_fields(pid: u32, from: usize, count: usize) -> Vec<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let fields = rest.split_whitespace().skip(from).take(count);
    fields.filter_map(|field| field.parse().ok()).collect()
}

#[expect(clippy::disallowed_methods, reason = "an end is waited for where nothing can await")]
fn pause(time: Duration) {
    thread::sleep(time);
}
