//! The clients, spread over processes because one may open 20,000 files at most.
//!
//! `Swarm` is the measuring side; `hold` is the other end of the pipe.

mod frame;
mod group;
mod hold;
pub(crate) mod message;
mod socket;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command as Program};
use tokio::time::timeout;

pub(crate) use frame::server_text;
pub(crate) use hold::run as hold;
use message::{Command, Report, Seen, Spec, Status, Window};

use crate::process::tied;

const SOCKETS_PER_PROCESS: u32 = 9000;
const CONNECT_WITHIN: Duration = Duration::from_mins(4);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// All client processes of one run.
#[derive(Default)]
pub(crate) struct Swarm {
    members: Vec<Member>,
    next_group: u32,
    /// A process whose network namespace they are in, where that is not this one's.
    namespace: Option<u32>,
}

/// Clients of one server; closed by `Swarm::close`.
pub(crate) struct Group {
    pub(crate) id: u32,
    pub(crate) count: u32,
    members: Vec<usize>,
}

/// How connecting went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Connected {
    pub(crate) ready: u32,
    pub(crate) failed: u32,
    pub(crate) elapsed_us: u64,
}

struct Member {
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// Reports that came while another was waited for.
    early: VecDeque<Report>,
    sockets: u32,
    /// Killed when dropped.
    _child: Child,
}

impl Swarm {
    /// Clients that live in the network namespace of a process.
    pub(crate) fn within(namespace: u32) -> Self {
        Self { namespace: Some(namespace), ..Self::default() }
    }

    /// Connects `count` clients, on as few processes as their limit allows.
    pub(crate) async fn connect(&mut self, spec: &Spec, count: u32) -> Result<(Group, Connected)> {
        self.next_group += 1;
        let mut group = Group { id: self.next_group, count, members: Vec::new() };
        let parts = count.div_ceil(SOCKETS_PER_PROCESS).max(1);
        let mut base = 0;
        for part in 0..parts {
            let share = (count - base).div_ceil(parts - part);
            let member = self.member_with_room(share, &group.members)?;
            let command =
                Command::Connect { group: group.id, spec: spec.clone(), count: share, base };
            self.members[member].sockets += share;
            self.members[member].send(&command).await?;
            group.members.push(member);
            base += share;
        }
        let connected = self.connected(&group).await?;
        Ok((group, connected))
    }

    /// Waits for the end of connecting.
    async fn connected(&mut self, group: &Group) -> Result<Connected> {
        let mut total = Connected::default();
        for member in &group.members {
            let report = self.members[*member].report(
                CONNECT_WITHIN,
                |report| matches!(report, Report::Connected { group: id, .. } if *id == group.id),
            );
            if let Report::Connected { ready, failed, elapsed_us, .. } = report.await? {
                total.ready += ready;
                total.failed += failed;
                total.elapsed_us = total.elapsed_us.max(elapsed_us);
            }
        }
        Ok(total)
    }

    /// Connects as `connect` does, and refuses to measure with fewer.
    pub(crate) async fn connect_all(&mut self, spec: &Spec, count: u32) -> Result<Group> {
        let (group, connected) = self.connect(spec, count).await?;
        if connected.ready != count {
            let status = self.status(&group).await?;
            bail!("{} of {count} clients connected: {status:?}", connected.ready);
        }
        Ok(group)
    }

    /// All clients of a group again, each from the last cursor it has seen.
    pub(crate) async fn reconnect(
        &mut self,
        group: &Group,
        address: SocketAddr,
    ) -> Result<Connected> {
        self.send_all(group, &Command::Reconnect { group: group.id, address }).await?;
        self.connected(group).await
    }

    /// From here on the group waits for the changes of the window.
    pub(crate) async fn arm(&mut self, group: &Group, window: &Window) -> Result<()> {
        self.send_all(group, &Command::Arm { group: group.id, window: window.clone() }).await?;
        for member in &group.members {
            let armed =
                |report: &Report| matches!(report, Report::Armed { group: id } if *id == group.id);
            self.members[*member].report(ANSWER_WITHIN, armed).await?;
        }
        Ok(())
    }

    /// Waits until the window is complete, or tells what arrived in time.
    pub(crate) async fn window(&mut self, group: &Group, within: Duration) -> Result<Seen> {
        let mut total: Option<Seen> = None;
        let until = tokio::time::Instant::now() + within;
        for member in &group.members {
            let member = &mut self.members[*member];
            let this = |report: &Report| matches!(report, Report::Window { group: id, .. } if *id == group.id);
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let report = match timeout(left, member.wait(this)).await {
                Ok(report) => report?,
                Err(_late) => {
                    member.send(&Command::Collect { group: group.id }).await?;
                    member.report(ANSWER_WITHIN, this).await?
                }
            };
            let Report::Window { seen, .. } = report else { continue };
            match &mut total {
                Some(total) => total.add(&seen),
                None => total = Some(seen),
            }
        }
        total.context("a group without members")
    }

    pub(crate) async fn set_reading(&mut self, group: &Group, on: bool) -> Result<()> {
        self.send_all(group, &Command::Reading { group: group.id, on }).await
    }

    pub(crate) async fn status(&mut self, group: &Group) -> Result<Status> {
        self.send_all(group, &Command::Status { group: group.id }).await?;
        let mut total = Status::default();
        for member in &group.members {
            let this = |report: &Report| matches!(report, Report::Status { group: id, .. } if *id == group.id);
            let report = self.members[*member].report(ANSWER_WITHIN, this).await?;
            if let Report::Status { status, .. } = report {
                total.add(status);
            }
        }
        Ok(total)
    }

    pub(crate) async fn close(&mut self, group: Group) -> Result<()> {
        self.send_all(&group, &Command::Close { group: group.id }).await?;
        let share = group.count / u32::try_from(group.members.len()).unwrap_or(1).max(1);
        for member in &group.members {
            let this =
                |report: &Report| matches!(report, Report::Closed { group: id } if *id == group.id);
            let member = &mut self.members[*member];
            member.report(ANSWER_WITHIN, this).await?;
            member.sockets = member.sockets.saturating_sub(share);
        }
        Ok(())
    }

    async fn send_all(&mut self, group: &Group, command: &Command) -> Result<()> {
        for member in &group.members {
            self.members[*member].send(command).await?;
        }
        Ok(())
    }

    fn member_with_room(&mut self, share: u32, taken: &[usize]) -> Result<usize> {
        let room = self.members.iter().enumerate().find_map(|(index, member)| {
            let fits = member.sockets + share <= SOCKETS_PER_PROCESS && !taken.contains(&index);
            fits.then_some(index)
        });
        if let Some(index) = room {
            return Ok(index);
        }
        self.members.push(Member::start(self.namespace)?);
        Ok(self.members.len() - 1)
    }
}

impl Member {
    fn start(namespace: Option<u32>) -> Result<Self> {
        let this = std::env::current_exe().context("own path")?;
        let mut child = Program::from(tied("KILL", namespace))
            .arg(this)
            .arg("swarm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("client process")?;
        let stdin = child.stdin.take().context("stdin")?;
        let lines = BufReader::new(child.stdout.take().context("stdout")?).lines();
        Ok(Self { stdin, lines, early: VecDeque::new(), sockets: 0, _child: child })
    }

    async fn send(&mut self, command: &Command) -> Result<()> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        self.stdin.write_all(&line).await.context("a client process is gone")
    }

    async fn report(
        &mut self,
        within: Duration,
        wanted: impl Fn(&Report) -> bool,
    ) -> Result<Report> {
        timeout(within, self.wait(wanted)).await.context("a client process does not answer")?
    }

    /// Safe to drop half-way: a line is taken whole or not at all.
    async fn wait(&mut self, wanted: impl Fn(&Report) -> bool) -> Result<Report> {
        if let Some(index) = self.early.iter().position(&wanted) {
            return self.early.remove(index).context("early report");
        }
        loop {
            let line = self.lines.next_line().await?.context("a client process ended")?;
            let report: Report = serde_json::from_str(&line).context("report")?;
            if wanted(&report) {
                return Ok(report);
            }
            self.early.push_back(report);
        }
    }
}
