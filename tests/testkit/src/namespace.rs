//! Two hosts of the test's own: network namespaces with one link between them, removed with the test.
//!
//! The machine's own network has no part in it: Chromium fails what it is loading when a device or an address
//! comes or goes there.

use std::{
    fs::File,
    io::Write,
    net::Ipv4Addr,
    os::fd::AsFd,
    process::{Command, Output},
    sync::atomic::{AtomicU8, Ordering},
};

use anyhow::Context;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Tests of one process run in parallel; each uses the next names.
static NEXT: AtomicU8 = AtomicU8::new(0);

/// Where `ip` keeps namespaces by name.
pub(crate) const FOLDER: &str = "/var/run/netns";
/// Nobody else is in these namespaces, so all tests may use the same network for documentation and tests.
const HERE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

/// A host on which the test is, and another one, whose default route leads to the first.
pub struct Namespace {
    name: String,
    /// This side's address.
    pub here: Ipv4Addr,
    /// The other side's address.
    pub there: Ipv4Addr,
}

impl Namespace {
    /// Makes both, and moves this thread to the first: sockets that it opens, and threads and processes
    /// that it starts from now on, are there. A runtime with one thread moves as a whole, if it has not
    /// started others.
    pub fn new() -> anyhow::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tm{}x{number}", std::process::id());
        let namespace = Self { name, here: HERE, there: THERE };
        namespace.build()?;
        Ok(namespace)
    }

    fn build(&self) -> anyhow::Result<()> {
        let Self { name, here, there } = self;
        let outer = self.outer();
        ip(&["netns", "add", &outer])?;
        ip(&["netns", "add", name])?;
        let pair = ["link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", name];
        ip(&[&["-n", &outer], &pair[..]].concat())?;
        for (namespace, address) in [(&outer, here), (name, there)] {
            ip(&["-n", namespace, "addr", "add", &format!("{address}/30"), "dev", "eth0"])?;
            ip(&["-n", namespace, "link", "set", "eth0", "up"])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        ip(&["-n", name, "route", "add", "default", "via", &here.to_string()])?;
        let target = File::open(format!("{FOLDER}/{outer}")).context("the namespace that was just made")?;
        Ok(move_into_link_name_space(target.as_fd(), Some(LinkNameSpaceType::Network))?)
    }

    /// The name of the first host.
    fn outer(&self) -> String {
        format!("{}h", self.name)
    }

    /// A command that runs `program` on the other host.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> tokio::process::Command {
        command_in(&self.name, program)
    }

    /// A command that runs `program` on the first host, and lets it see in `/sys` what is there. What the
    /// test starts otherwise sees the machine's devices in it.
    pub fn command_here(&self, program: impl AsRef<std::ffi::OsStr>) -> tokio::process::Command {
        command_in(&self.outer(), program)
    }
}

fn command_in(namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> tokio::process::Command {
    let mut command = tokio::process::Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // With the last process and thread in them they are gone, and their link, too.
        for name in [&self.name, &self.outer()] {
            if let Err(error) = ip(&["netns", "del", name]) {
                // A failure can only be printed.
                writeln!(std::io::stderr(), "{error:#}").ok();
            }
        }
    }
}

pub(crate) fn ip(args: &[&str]) -> anyhow::Result<Output> {
    let output = Command::new("ip").args(args).output().context("cannot run ip (Debian: iproute2)")?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "ip {}: {stderr}(these tests need root)", args.join(" "));
    Ok(output)
}
