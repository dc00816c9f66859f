//! This host's interfaces from tick to tick: new ones, vanished ones, and which of them count.
//!
//! A host may have a thousand interfaces that come and go with its containers, so each look is cheap: it
//! reads the names at every tick, the counted and the new interfaces in full, and the others in turn.

use std::net::IpAddr;

use crate::{
    config::AgentConfig,
    kernel::{ErrorCounts, Kernel},
    meter::{Key, Nominal, Reading},
    uplinks::{Choice, Link, NamePattern, Topology, Verdict},
};

/// In one look, this many of the known interfaces that do not count are read again.
const IN_TURN: usize = 8;

/// This host's interfaces.
pub struct Links {
    kernel: Kernel,
    choice: Choice,
    /// The choice by the usual names of interfaces.
    resolved: Choice,
    /// What counted when there last was a way out.
    known_wan: Vec<String>,
    names: Vec<String>,
    topology: Topology,
    verdicts: Vec<Verdict>,
    turn: usize,
}

/// What has changed since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing.
    None,
    /// Something about interfaces that do not count.
    Inventory,
    /// Something about those that count.
    Counted,
}

impl Links {
    /// Reads all interfaces for the first time.
    pub fn new(config: &AgentConfig) -> anyhow::Result<Self> {
        let mut links = Self {
            kernel: Kernel::new(config)?,
            choice: config.choice.clone(),
            resolved: Choice::default(),
            known_wan: Vec::new(),
            names: Vec::new(),
            topology: Topology::default(),
            verdicts: Vec::new(),
            turn: 0,
        };
        links.look(true);
        Ok(links)
    }

    /// Looks for new and vanished names; a `thorough` look also notices changes of the interfaces that
    /// stayed.
    pub fn look(&mut self, thorough: bool) -> Change {
        // If the names cannot be listed, they are assumed to be unchanged; the counters will be missing.
        let names = self.kernel.names().unwrap_or_else(|_| self.names.clone());
        let as_before = names == self.names && !self.leads_elsewhere();
        if as_before && !thorough {
            return Change::None;
        }
        let topology = self.kernel.topology(&names, |name| self.known(name));
        self.turn = if self.turn + IN_TURN >= names.len() { 0 } else { self.turn + IN_TURN };
        self.names = names;
        // Names are given to interfaces at any time.
        let choice = self.resolved_choice(&topology);
        if topology == self.topology && choice == self.resolved {
            return Change::None;
        }
        let before: Vec<_> = self.counted().map(|(link, _)| link.clone()).collect();
        self.verdicts = topology.judge(&choice, &self.known_wan);
        self.resolved = choice;
        let same_route = topology.routes.defaults.first() == self.topology.routes.defaults.first();
        self.topology = topology;
        if self.topology.has_way_out() {
            self.known_wan = self.counted().map(|(link, _)| link.name.clone()).collect();
        }
        let same = same_route && self.counted().map(|(link, _)| link).eq(&before);
        if same { Change::Inventory } else { Change::Counted }
    }

    /// The addresses of all interfaces, where they are known of this view.
    pub(crate) fn addresses(&self) -> Option<Vec<(String, Vec<IpAddr>)>> {
        self.kernel.addresses(&self.topology.links)
    }

    /// All interfaces and the default route.
    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// All interfaces with their verdicts.
    pub(crate) fn judged(&self) -> impl Iterator<Item = (&Link, &Verdict)> {
        self.topology.links.iter().zip(&self.verdicts)
    }

    /// The counters of the counted interfaces. An interface that was replaced under its name has none until
    /// the next look.
    pub(crate) fn counted_readings(&self) -> Vec<Reading> {
        self.counted().map(|(link, _)| self.reading(link)).collect()
    }

    /// The counters of interfaces that are up, at most `limit`: first the counted ones, which have just been
    /// read.
    pub(crate) fn readings_for_display(&self, counted: Vec<Reading>, limit: usize) -> Vec<Reading> {
        let counted =
            self.counted().zip(counted).filter(|((link, _), _)| link.up).map(|(_, reading)| reading);
        let others = self.judged().filter(|(link, verdict)| link.up && !verdict.counted);
        counted.chain(others.map(|(link, _)| self.reading(link))).take(limit).collect()
    }

    /// The errors and drops of the counted interfaces.
    pub(crate) fn error_readings(&self) -> Vec<(Key, Option<ErrorCounts>)> {
        self.counted().map(|(link, _)| (key(link), self.kernel.error_counts(&link.name))).collect()
    }

    /// What tells the counted interfaces from all others of this boot of the kernel, where it can be known.
    pub(crate) fn identities(&self) -> Vec<(Key, u64)> {
        let identity = |link: &Link| Some((key(link), self.kernel.identity(&link.name, link.index)?));
        self.counted().filter_map(|(link, _)| identity(link)).collect()
    }

    /// The kernel's name for the time since it started, and how many milliseconds that is.
    pub(crate) fn kernel_boot(&self) -> Option<(String, u64)> {
        self.kernel.boot()
    }

    /// Warns when `--include` or `--exclude` may not have the intended effect.
    pub(crate) fn warn_of_choice(&self) {
        let all_names = self.kernel.all_names();
        for pattern in self.choice.include.iter().chain(&self.choice.exclude) {
            let mut names = self.names.iter().chain(all_names.iter().flat_map(|(_, names)| names));
            if !names.any(|name| pattern.matches(name)) {
                tracing::warn!(%pattern, "no interface has this name (yet)");
            }
        }
        if self.counted().next().is_none() {
            tracing::warn!("no interface counts, so no rate is known; `--explain` says why");
        }
    }

    fn counted(&self) -> impl Iterator<Item = (&Link, &Verdict)> {
        self.judged().filter(|(_, verdict)| verdict.counted)
    }

    /// The operator's choice by the usual names of interfaces.
    fn resolved_choice(&self, topology: &Topology) -> Choice {
        let is_usual = |pattern: &&NamePattern| {
            !pattern.is_open() && topology.links.iter().any(|link| pattern.matches(&link.name))
        };
        let mut patterns = self.choice.include.iter().chain(&self.choice.exclude);
        if patterns.all(|pattern| is_usual(&pattern)) {
            return self.choice.clone();
        }
        self.choice.resolved(&self.kernel.all_names())
    }

    /// Whether the routes have changed in a case where they decide what counts: a container may get its
    /// network at any time, and a device that comes up counts the bytes of the tunnel that counted in its
    /// place.
    fn leads_elsewhere(&self) -> bool {
        let mut devices = self.topology.links.iter().filter(|link| link.device.is_some());
        self.topology.needs_routes(&self.verdicts, self.choice.count)
            && (self.kernel.routes(&self.topology.links) != self.topology.routes
                || devices.any(|link| !link.up && self.kernel.is_up(&link.name)))
    }

    fn reading(&self, link: &Link) -> Reading {
        let counters = self.kernel.counters(&link.name, link.index);
        let nominal = Nominal { speed_bps: link.stated_bps(), may_wrap: self.kernel.may_wrap() };
        Reading { key: key(link), counters, nominal }
    }

    /// A known interface that this look need not read again.
    fn known(&self, name: &str) -> Option<Link> {
        // Links are sorted by name, as the kernel module sorts them.
        let at = self.topology.links.binary_search_by(|link| link.name.as_str().cmp(name)).ok()?;
        let in_turn = (self.turn..self.turn + IN_TURN).contains(&at);
        (!in_turn && !self.verdicts[at].counted).then(|| self.topology.links[at].clone())
    }
}

fn key(link: &Link) -> Key {
    (link.name.clone(), link.index)
}
