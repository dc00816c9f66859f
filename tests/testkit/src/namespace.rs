//! A host of the test's own: a network namespace with one link to this one, removed with the test.

use std::{
    io::Write,
    net::Ipv4Addr,
    process::{Command, Output},
    sync::atomic::{AtomicU8, Ordering},
};

use anyhow::Context;

/// Tests of one process run in parallel; each uses the next network.
static NEXT: AtomicU8 = AtomicU8::new(0);

/// A network namespace whose default route leads to this host.
pub struct Namespace {
    name: String,
    /// This side's address.
    pub here: Ipv4Addr,
    /// The other side's address.
    pub there: Ipv4Addr,
}

impl Namespace {
    /// Makes a namespace, a veth pair, addresses and the default route.
    pub fn new() -> anyhow::Result<Self> {
        let process = std::process::id();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Link names have 15 characters at most.
        let name = format!("tm{process}x{number}");
        // A network for documentation and tests (198.18.0.0/15). Its second and third part depend on process
        // and number, so that processes do not collide.
        let net = (process as u8).wrapping_add(number).wrapping_mul(4);
        let third = (process >> 8) as u8 % 2;
        let address = |last| Ipv4Addr::new(198, 18 + third, net, last);
        let namespace = Self { name, here: address(1), there: address(2) };
        namespace.build()?;
        Ok(namespace)
    }

    fn build(&self) -> anyhow::Result<()> {
        let Self { name, here, there } = self;
        let outer = format!("{name}h");
        ip(&["netns", "add", name])?;
        ip(&["link", "add", &outer, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip(&["addr", "add", &format!("{here}/30"), "dev", &outer])?;
        ip(&["link", "set", &outer, "up"])?;
        ip(&["-n", name, "addr", "add", &format!("{there}/30"), "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&["-n", name, "route", "add", "default", "via", &here.to_string()])?;
        Ok(())
    }

    /// A command that runs `program` in the namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Removing the namespace removes the link. A failure can only be printed.
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            writeln!(std::io::stderr(), "{error:#}").ok();
        }
    }
}

fn ip(args: &[&str]) -> anyhow::Result<Output> {
    let output = Command::new("ip").args(args).output().context("cannot run ip (Debian: iproute2)")?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "ip {}: {stderr}(these tests need root)", args.join(" "));
    Ok(output)
}
