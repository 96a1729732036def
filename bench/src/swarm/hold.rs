//! The process that holds sockets: one thread, one epoll, thousands of clients.
//!
//! A task per client would cost more than the servers that are measured; here a client is a row in
//! a list. It obeys the commands on its standard input and ends with it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

use anyhow::{Context, Result};
use mio::event::Event;
use mio::{Events, Interest, Poll, Token, Waker};

use super::frame::{self, Next};
use super::group::{Group, Meaning};
use super::message::{Command, Report};
use super::socket::{Piece, Socket, State};
use crate::mark::now_us;

const WAKE: Token = Token(usize::MAX);
const COMMANDS_MAX: usize = 64;
const BUFFER_BYTES: usize = 256 * 1024;

struct Hold {
    poll: Poll,
    sockets: Vec<Socket>,
    groups: BTreeMap<u32, Group>,
    buffer: Vec<u8>,
}

/// Serves commands until the standard input ends.
pub(crate) fn run() -> Result<()> {
    let poll = Poll::new().context("epoll")?;
    let waker = Waker::new(poll.registry(), WAKE).context("waker")?;
    let (command_tx, command_rx) = sync_channel(COMMANDS_MAX);
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let command = serde_json::from_str::<Command>(&line);
            if command_tx.send(command).is_err() || waker.wake().is_err() {
                return;
            }
        }
        drop(command_tx);
        waker.wake().ok();
    });
    let buffer = vec![0; BUFFER_BYTES];
    let mut hold = Hold { poll, sockets: Vec::new(), groups: BTreeMap::new(), buffer };
    hold.serve(&command_rx)
}

impl Hold {
    fn serve(&mut self, command_rx: &Receiver<serde_json::Result<Command>>) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled.context("epoll wait")?,
            }
            for event in events.iter().filter(|event| event.token() != WAKE) {
                self.on_event(event)?;
            }
            // After the events: a command may give a row of the list to another client.
            if events.iter().any(|event| event.token() == WAKE) && !self.obey_all(command_rx)? {
                return Ok(());
            }
        }
    }

    /// False: no more commands will come.
    fn obey_all(&mut self, command_rx: &Receiver<serde_json::Result<Command>>) -> Result<bool> {
        loop {
            match command_rx.try_recv() {
                Ok(command) => self.obey(command.context("command")?)?,
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => return Ok(false),
            }
        }
    }

    fn obey(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Connect { group, spec, count, base } => {
                let mut fresh = Group::new(spec, now_us());
                for number in (base..base + count).rev() {
                    fresh.members.push(self.sockets.len());
                    self.sockets.push(Socket::new(group, number));
                }
                fresh.unopened.clone_from(&fresh.members);
                self.groups.insert(group, fresh);
                self.open_more(group)
            }
            Command::Arm { group: id, window } => {
                if let Some(group) = self.groups.get_mut(&id) {
                    group.arm(window, &mut self.sockets);
                }
                tell(&Report::Armed { group: id })
            }
            Command::Collect { group: id } => {
                let seen = self.groups.get_mut(&id).map(Group::collect).unwrap_or_default();
                tell(&Report::Window { group: id, seen })
            }
            Command::Reconnect { group, address } => self.reconnect(group, address),
            Command::Reading { group, on } => self.set_reading(group, on),
            Command::Status { group: id } => {
                let status = self.groups.get(&id).map(Group::status).unwrap_or_default();
                tell(&Report::Status { group: id, status })
            }
            Command::Close { group } => {
                for member in self.groups.remove(&group).map(|g| g.members).unwrap_or_default() {
                    self.sockets[member].stream = None;
                    self.sockets[member].state = State::Closed;
                }
                self.forget_closed_end();
                tell(&Report::Closed { group })
            }
        }
    }

    /// Rows at the end of the list that no group owns go; their numbers are given again.
    fn forget_closed_end(&mut self) {
        let kept = self.groups.values().flat_map(|group| &group.members).max();
        self.sockets.truncate(kept.map_or(0, |last| last + 1));
    }

    fn reconnect(&mut self, id: u32, address: std::net::SocketAddr) -> Result<()> {
        if let Some(group) = self.groups.get_mut(&id) {
            group.spec.address = address;
            group.unopened.clone_from(&group.members);
            (group.connecting, group.ready, group.failed) = (0, 0, 0);
            group.started_us = now_us();
            group.told_connected = false;
            for member in &group.members {
                self.sockets[*member].stream = None;
            }
        }
        self.open_more(id)
    }

    fn set_reading(&mut self, id: u32, on: bool) -> Result<()> {
        let members = self.groups.get(&id).map(|group| group.members.clone()).unwrap_or_default();
        for member in members {
            let Some(stream) = &mut self.sockets[member].stream else { continue };
            if on {
                let both = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(stream, Token(member), both)?;
            } else {
                self.poll.registry().deregister(stream)?;
            }
        }
        Ok(())
    }

    /// Starts connections up to the group's limit; tells when all are ready or failed.
    fn open_more(&mut self, id: u32) -> Result<()> {
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        while group.connecting < group.spec.at_once {
            let Some(member) = group.unopened.pop() else { break };
            match self.sockets[member].open(&group.spec) {
                Ok(stream) => {
                    let both = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(stream, Token(member), both)?;
                    group.connecting += 1;
                }
                Err(e) => {
                    group.note_error(&format!("connect: {e}"));
                    group.failed += 1;
                }
            }
        }
        if !group.told_connected && group.connecting == 0 && group.unopened.is_empty() {
            group.told_connected = true;
            let elapsed_us = now_us().saturating_sub(group.started_us);
            let (ready, failed) = (group.ready, group.failed);
            tell(&Report::Connected { group: id, ready, failed, elapsed_us })?;
        }
        Ok(())
    }

    fn on_event(&mut self, event: &Event) -> Result<()> {
        let index = event.token().0;
        let Some(socket) = self.sockets.get_mut(index) else { return Ok(()) };
        let id = socket.group;
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let was = socket.state;
        if socket.state == State::Connecting && event.is_writable() {
            socket.ask_upgrade(&group.spec);
        }
        let mut ended = event.is_writable() && socket.flush().is_err();
        if event.is_readable() && socket.stream.is_some() {
            ended |= !receive(socket, group, &mut self.buffer)?;
        }
        if ended {
            end(socket, group, was);
        }
        let settled = matches!(socket.state, State::Ready | State::Closed);
        let was_settled = matches!(was, State::Ready | State::Closed);
        if settled && !was_settled {
            group.connecting -= 1;
            group.ready += u32::from(socket.state == State::Ready);
            self.open_more(id)?;
        }
        Ok(())
    }
}

fn end(socket: &mut Socket, group: &mut Group, was: State) {
    socket.stream = None;
    if socket.state == State::Closed {
        return;
    }
    socket.state = State::Closed;
    *group.closed.entry(socket.close_code).or_default() += 1;
    match was {
        State::Ready => group.ready = group.ready.saturating_sub(1),
        _ => group.failed += 1,
    }
}

/// Reads all that is there. False: the connection has ended.
fn receive(socket: &mut Socket, group: &mut Group, buffer: &mut [u8]) -> Result<bool> {
    loop {
        let count = match socket.read(buffer) {
            Piece::Bytes(count) => count,
            Piece::Nothing => return Ok(true),
            Piece::End => return Ok(false),
        };
        let goes_on = if socket.part.is_empty() {
            let used = take(socket, group, &buffer[..count])?;
            used.map(|used| socket.part.extend(&buffer[used..count]))
        } else {
            let mut joined = std::mem::take(&mut socket.part);
            joined.extend(&buffer[..count]);
            take(socket, group, &joined)?.map(|used| {
                joined.drain(..used);
                joined.shrink_to_fit();
                socket.part = joined;
            })
        };
        if goes_on.is_none() {
            return Ok(false);
        }
        // A short read has emptied the socket; the next bytes raise a new event.
        if count < buffer.len() {
            return Ok(true);
        }
    }
}

/// Takes whole messages off the front; how many bytes they took, or none at the end.
fn take(socket: &mut Socket, group: &mut Group, bytes: &[u8]) -> Result<Option<usize>> {
    let mut used = 0;
    if socket.state == State::Upgrading {
        match upgraded(socket, group, bytes) {
            Some(0) => return Ok(Some(0)),
            Some(head) => used = head,
            None => return Ok(None),
        }
    }
    let now = now_us();
    loop {
        match frame::next(&bytes[used..]) {
            Next::Incomplete => return Ok(Some(used)),
            Next::Foreign => {
                group.note_error("a frame that is masked or fragmented");
                return Ok(None);
            }
            Next::Frame(frame) => {
                used += frame.size;
                match frame.opcode {
                    frame::TEXT => on_text(socket, group, frame.payload, now)?,
                    frame::PING => {
                        frame::push_masked(&mut socket.out, frame::PONG, frame.payload);
                        socket.flush()?;
                    }
                    frame::CLOSE => {
                        socket.close_code = match frame.payload {
                            [high, low, ..] => u16::from_be_bytes([*high, *low]),
                            _ => 1005,
                        };
                        return Ok(None);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The size of the answer's head, 0 while it is not whole, none where it refuses.
fn upgraded(socket: &mut Socket, group: &mut Group, bytes: &[u8]) -> Option<usize> {
    let head = match memchr::memmem::find(bytes, b"\r\n\r\n") {
        Some(end) => end + 4,
        None => return Some(0),
    };
    if !bytes.starts_with(b"HTTP/1.1 101") {
        group.note_error(&String::from_utf8_lossy(bytes));
        return None;
    }
    socket.state = if socket.unconfirmed == 0 { State::Ready } else { State::Waiting };
    socket.subscribe(&group.spec);
    socket.flush().ok()?;
    Some(head)
}

fn on_text(socket: &mut Socket, group: &mut Group, message: &[u8], now: u64) -> Result<()> {
    match group.on_message(socket, message, now) {
        Meaning::WindowComplete => {
            let seen = group.collect();
            tell(&Report::Window { group: socket.group, seen })?;
        }
        Meaning::Subscribed if socket.state == State::Waiting => {
            socket.unconfirmed -= 1;
            if socket.unconfirmed == 0 {
                socket.state = State::Ready;
            }
        }
        Meaning::Subscribed | Meaning::Change | Meaning::Other => {}
    }
    Ok(())
}

fn tell(report: &Report) -> Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush().context("report")
}
