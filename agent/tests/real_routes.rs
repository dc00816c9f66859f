//! Which interfaces count in real network namespaces, whose routes no file shows in full.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use tidemap_wire::Report;

/// A namespace with attached networks, and one with their other ends. Removed on drop.
struct Container {
    name: String,
}

impl Container {
    /// With interfaces `eth0`, `eth1`, …: so many, each with an address of a network of its own.
    ///
    /// `None`, with a message, if this user may not create namespaces.
    fn new(networks: u8) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let container = Self { name: format!("tidemap-routes-{}-{number}", std::process::id()) };
        let made = ["", "-out"].map(|part| container.ip(&["netns", "add", &(container.name.clone() + part)]));
        if let Some(error) = made.iter().find_map(|made| made.as_ref().err()) {
            assert!(!is_root(), "cannot make a network namespace though we are root: {error}");
            eprintln!("NOT TESTED: routes in network namespaces, because that takes root: {error}");
            return None;
        }
        for at in 0..networks {
            container.attach(&format!("eth{at}"), at);
        }
        Some(container)
    }

    fn attach(&self, name: &str, at: u8) {
        let (inside, outside) = (self.name.clone(), format!("{}-out", self.name));
        let pair =
            ["link", "add", name, "netns", &inside, "type", "veth", "peer", "name", name, "netns", &outside];
        self.ip(&pair).unwrap();
        for (namespace, host) in [(&inside, 2), (&outside, 1)] {
            let address = format!("10.214.{at}.{host}/24");
            self.ip(&["-n", namespace, "addr", "add", &address, "dev", name]).unwrap();
            self.ip(&["-n", namespace, "link", "set", name, "up"]).unwrap();
        }
    }

    /// Runs `ip` inside.
    fn set(&self, args: &[&str]) {
        self.ip(&[&["-n", &self.name], args].concat()).unwrap();
    }

    fn ip(&self, args: &[&str]) -> Result<(), String> {
        let output = Command::new("ip").args(args).output().map_err(|error| error.to_string())?;
        let error = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("ip {args:?}: {error}")) }
    }

    /// What counts according to `--explain`, run inside by these words.
    fn counted_by(&self, words: &[&str], flags: &[&str]) -> Vec<String> {
        let agent = [env!("CARGO_BIN_EXE_tidemap-agent"), "--explain", "--node", "made"];
        let command = [words, &agent, flags].concat();
        let output = Command::new(command[0]).args(&command[1..]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let table = String::from_utf8(output.stdout).unwrap();
        let rows = table.lines().skip(1).take_while(|line| !line.is_empty());
        let counted = rows.filter(|line| line.split_whitespace().nth(1) == Some("yes"));
        counted.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    fn counted(&self, flags: &[&str]) -> Vec<String> {
        self.counted_by(&["ip", "netns", "exec", &self.name], flags)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        for part in ["", "-out"] {
            // It may not have been created.
            drop(self.ip(&["netns", "del", &(self.name.clone() + part)]));
        }
    }
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.split_whitespace().take(3).eq(["Uid:", "0", "0"]))
}

#[test]
fn every_next_hop_of_a_default_route_counts() {
    let Some(container) = Container::new(2) else { return };
    // Addresses without a network of their own, so that the default route alone leads out.
    for name in ["eth0", "eth1"] {
        container.set(&["addr", "flush", "dev", name]);
        container.set(&["addr", "add", &format!("10.215.0.{}/32", name.len()), "dev", name]);
    }
    assert!(container.counted(&[]).is_empty());
    container.set(&[
        "route", "add", "default", "nexthop", "dev", "eth0", "weight", "1", "nexthop", "dev", "eth1",
        "weight", "1",
    ]);
    assert_eq!(container.counted(&[]), ["eth0", "eth1"]);
    container.set(&["route", "del", "default"]);
    for (name, host) in [("eth0", "fd00:a::2/127"), ("eth1", "fd00:b::2/127")] {
        container.set(&["addr", "add", host, "dev", name, "nodad"]);
    }
    container.set(&[
        "-6",
        "route",
        "add",
        "default",
        "nexthop",
        "via",
        "fd00:a::3",
        "nexthop",
        "via",
        "fd00:b::3",
    ]);
    assert_eq!(container.counted(&[]), ["eth0", "eth1"], "of IPv6, too");
}

#[test]
fn a_route_of_another_table_leads_out() {
    let Some(container) = Container::new(1) else { return };
    container.set(&["addr", "flush", "dev", "eth0"]);
    container.set(&["addr", "add", "10.215.0.4/32", "dev", "eth0"]);
    assert!(container.counted(&[]).is_empty());
    container.set(&["route", "add", "default", "dev", "eth0", "table", "100"]);
    assert!(container.counted(&[]).is_empty(), "no rule leads to it");
    container.set(&["rule", "add", "from", "all", "lookup", "100"]);
    assert_eq!(container.counted(&[]), ["eth0"]);
}

#[test]
fn a_second_network_counts_beside_the_default_route() {
    let Some(container) = Container::new(2) else { return };
    container.set(&["route", "add", "default", "via", "10.214.0.1"]);
    assert_eq!(container.counted(&[]), ["eth0", "eth1"]);
}

#[test]
fn an_alternative_name_is_a_name() {
    let Some(container) = Container::new(2) else { return };
    container.set(&["link", "property", "add", "dev", "eth1", "altname", "backbone-to-the-other-rack"]);
    let flags = ["--include", "backbone-*", "--exclude", "*"];
    assert_eq!(container.counted(&flags), ["eth1"]);
    assert_eq!(container.counted(&["--include", "backbone-to-the-other-rack", "--exclude", "*"]), ["eth1"]);
}

#[test]
fn an_alternative_name_that_comes_later_is_seen() {
    let Some(container) = Container::new(2) else { return };
    let mut agent = Command::new("ip")
        .args(["netns", "exec", &container.name, env!("CARGO_BIN_EXE_tidemap-agent"), "--dry-run"])
        .args(["--interval", "0.25", "--node", "made", "--include", "late9", "--exclude", "*"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reports = BufReader::new(agent.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str::<Report>(&line.unwrap()).unwrap());
    assert!(reports.next().unwrap().hello.unwrap().interfaces.iter().all(|one| !one.counted));
    container.set(&["link", "property", "add", "dev", "eth1", "altname", "late9"]);
    // Interfaces that stay are looked at every 15 s.
    let hello = reports.take(120).find_map(|report| report.hello).unwrap();
    let counted = hello.interfaces.iter().filter(|one| one.counted).map(|one| one.name.as_str());
    assert_eq!(counted.collect::<Vec<_>>(), ["eth1"]);
    assert_eq!(hello.addresses.first().map(String::as_str), Some("10.214.1.2"));
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[test]
fn a_namespace_that_is_entered_without_its_sysfs_is_measured() {
    let Some(container) = Container::new(1) else { return };
    container.set(&["link", "set", "eth0", "name", "inside0"]);
    container.set(&["link", "set", "inside0", "up"]);
    container.set(&["route", "add", "default", "via", "10.214.0.1"]);
    let namespace = format!("--net=/run/netns/{}", container.name);
    assert_eq!(container.counted_by(&["nsenter", &namespace], &[]), ["inside0"]);
    let agent = [&namespace, env!("CARGO_BIN_EXE_tidemap-agent"), "--dry-run", "--node", "made"];
    let mut agent = Command::new("nsenter").args(agent).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(agent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    let report: Report = serde_json::from_str(&line).unwrap();
    assert_eq!(report.hello.unwrap().internal_ip.as_deref(), Some("10.214.0.2"));
}
