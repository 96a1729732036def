//! A link between two network namespaces of its own: servers live at one end, clients at the other.
//!
//! Over loopback the kernel does the receiver's half of TCP inside the sender's call and charges it
//! to the server. Behind a network card that half is another machine's; here it is a kernel
//! thread's. Never touches the namespace that this process is in.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::process::tied;

// All of 198.18.0.0/15, which RFC 2544 reserves for benchmarks.
/// Where servers listen.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The /16 whose addresses clients may take.
pub(crate) const CLIENTS: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 0);
/// The clients' end of the link itself, through which servers reach them.
const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

const PROGRAMS: [&str; 6] = ["ip", "tc", "ethtool", "nsenter", "unshare", "setpriv"];

/// Two namespaces and what joins them; all of it is gone when it is dropped.
pub(crate) struct Link {
    servers: Namespace,
    clients: Namespace,
}

/// Exists as long as the process that it was made for, which only waits.
struct Namespace(Child);

impl Link {
    /// Fails with what is missing where this machine or its kernel does not let us.
    pub(crate) fn make() -> Result<Self> {
        ensure!(fs::metadata("/proc/self")?.uid() == 0, "this user is not root");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let missing = missing(&PROGRAMS, &path);
        ensure!(missing.is_empty(), "no {} here", missing.join(", "));
        let link = Self { servers: Namespace::make()?, clients: Namespace::make()? };
        link.join()?;
        Ok(link)
    }

    /// A process of the namespace in which servers live.
    pub(crate) fn servers(&self) -> u32 {
        self.servers.pid()
    }

    /// A process of the namespace in which clients live.
    pub(crate) fn clients(&self) -> u32 {
        self.clients.pid()
    }

    fn join(&self) -> Result<()> {
        let Self { servers, clients } = self;
        servers.run(&format!(
            "ip link add servers type veth peer name clients netns {}",
            clients.pid()
        ))?;
        servers.set_up("servers", SERVER)?;
        clients.set_up("clients", ROUTER)?;
        // So that a client may take any address of these, as over loopback.
        clients.run(&format!("ip route add local {CLIENTS}/16 dev lo"))?;
        // Nothing is lost on the way, only late where the cores are busy: what the kernel sends
        // again after its usual 200 ms would be measured too.
        servers.run(&format!("ip route add {CLIENTS}/16 via {ROUTER} rto_min 10s"))
    }
}

impl Namespace {
    fn make() -> Result<Self> {
        let mut command = tied("KILL", None);
        command.args(["unshare", "--net", "cat"]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut namespace = Self(command.spawn().context("setpriv")?);
        namespace.ready()?;
        Ok(namespace)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The first line comes back when the namespace is there.
    fn ready(&mut self) -> Result<()> {
        let (stdin, stdout) = (self.0.stdin.as_mut(), self.0.stdout.as_mut());
        // Where unshare has failed, so does this; what it said is told below.
        stdin.context("stdin")?.write_all(b"\n").ok();
        if stdout.context("stdout")?.read(&mut [0])? == 0 {
            let mut told = String::new();
            self.0.stderr.as_mut().context("stderr")?.read_to_string(&mut told)?;
            bail!("unshare --net: {}", told.trim());
        }
        Ok(())
    }

    fn set_up(&self, device: &str, address: Ipv4Addr) -> Result<()> {
        self.run("ip link set lo up")?;
        self.run(&format!("ip address add {address}/24 dev {device}"))?;
        // Only with both does veth hand packets to a poll of the receiving end (NAPI); else the
        // sender's call goes all the way up to the receiver's socket, as over loopback.
        self.run(&format!("ethtool -K {device} gro on tso off"))?;
        // Without segmentation by the device the sender cuts what is larger; at this size nothing is.
        self.run(&format!("ip link set {device} mtu 65535 up"))?;
        // A veth has no queue, and its ring has 256 places: what finds none would be dropped, and
        // come when it is sent again.
        self.run(&format!("tc qdisc replace dev {device} root pfifo limit 100000"))?;
        // The poll in a thread of its own; else it may run at the end of the sender's call.
        let threaded = format!("/sys/class/net/{device}/threaded");
        let mount = format!("mount -t sysfs none /sys && echo 1 > {threaded}");
        self.run_words(&["unshare", "--mount", "sh", "-c", &mount])
    }

    fn run(&self, line: &str) -> Result<()> {
        self.run_words(&line.split(' ').collect::<Vec<_>>())
    }

    /// Runs a program in this namespace.
    fn run_words(&self, words: &[&str]) -> Result<()> {
        let pid = self.pid().to_string();
        let mut command = Command::new("nsenter");
        let output = command.args(["--target", &pid, "--net"]).args(words).output();
        let output = output.context("nsenter")?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}", words.join(" "), told.trim());
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; the kernel's tie remains.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Those of the programs that no folder of the path has.
fn missing<'a>(programs: &[&'a str], path: &OsStr) -> Vec<&'a str> {
    let has = |folder: &Path, program: &str| folder.join(program).is_file();
    let mut missing = programs.to_vec();
    missing.retain(|program| !std::env::split_paths(path).any(|folder| has(&folder, program)));
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_no_folder_has_are_missing() {
        let folder = std::env::temp_dir().join(format!("pgfeed-link-{}", std::process::id()));
        let (first, second) = (folder.join("first"), folder.join("second"));
        for (folder, program) in [(&first, "ip"), (&second, "tc")] {
            fs::create_dir_all(folder).expect("folder");
            fs::write(folder.join(program), "").expect("program");
        }
        // A folder of that name is no program.
        fs::create_dir_all(first.join("ethtool")).expect("folder");
        let path = std::env::join_paths([&first, &second]).expect("path");
        assert_eq!(missing(&["ip", "ethtool", "tc", "unshare"], &path), ["ethtool", "unshare"]);
        fs::remove_dir_all(folder).expect("remove");
    }
}
