//! The node's hello, when it has changed.

use tidemap_wire::Hello;

use super::{link_watch::LinkWatch, schedule::Schedule};
use crate::{
    config::AgentConfig,
    host_name::host_name,
    identity::{Addresses, Identity},
    links::Change,
    meter::Key,
    uplinks::Verdict,
};

const ADDRESSES_PERIOD_MS: u64 = 60_000;
/// Containers that come and go change the inventory, and not every such change needs a new hello.
const INVENTORY_PERIOD_MS: u64 = 10_000;
/// The host may be renamed while the agent runs.
const NAME_PERIOD_MS: u64 = 5_000;

/// Makes hellos.
pub(super) struct HelloSource {
    identity: Identity,
    addresses: Addresses,
    addresses_schedule: Schedule,
    /// Where the file system is mounted whose space is shown, as of the last hello.
    disk_path: Option<String>,
    name_schedule: Schedule,
    /// The last hello, and when it was made.
    last: Option<(Hello, u64)>,
    periods: Periods,
}

/// The interfaces whose counters are updated less often than they are read, and how many seconds lie between
/// two updates.
pub(super) type Periods = Vec<(Key, u64)>;

impl HelloSource {
    pub(super) fn new(config: &AgentConfig) -> Self {
        Self {
            identity: Identity::of_host(config),
            addresses: Addresses::default(),
            addresses_schedule: Schedule::new(ADDRESSES_PERIOD_MS, config.interval),
            disk_path: None,
            name_schedule: Schedule::new(NAME_PERIOD_MS, config.interval),
            last: None,
            periods: Vec::new(),
        }
    }

    /// The hello, if it differs from the last one and enough time has passed for this kind of change.
    pub(super) fn changed(
        &mut self,
        watch: &mut LinkWatch,
        periods: Periods,
        disk_path: Option<&str>,
        now_ms: u64,
    ) -> Option<Hello> {
        if periods != self.periods {
            self.periods = periods;
            watch.note(Change::Inventory);
        }
        let addresses_due = self.addresses_schedule.is_due(now_ms);
        let has_other_disk = self.disk_path.as_deref() != disk_path;
        let is_other = self.is_renamed(now_ms) || has_other_disk;
        if !is_other && !self.is_due(watch.change(), addresses_due, now_ms) {
            return None;
        }
        if self.last.is_none() || addresses_due || watch.change() == Change::Counted {
            self.addresses = Addresses::of_links(&watch.links);
            self.addresses_schedule.done(now_ms);
        }
        watch.clear_change();
        let links = &watch.links;
        let verdicts: Vec<Verdict> = links
            .judged()
            .map(|(link, verdict)| {
                let period =
                    self.periods.iter().find(|((name, index), _)| (name, *index) == (&link.name, link.index));
                match period {
                    Some((_, seconds)) => verdict.with(&format!("statistics every {seconds} s")),
                    None => verdict.clone(),
                }
            })
            .collect();
        let mut hello = self.identity.hello(links.topology(), &verdicts, &self.addresses);
        self.disk_path = disk_path.map(ToOwned::to_owned);
        hello.disk_path.clone_from(&self.disk_path);
        // A path may be longer than any text of a hello.
        hello.bound();
        if self.last.as_ref().is_some_and(|(last, _)| *last == hello) {
            return None;
        }
        self.last = Some((hello.clone(), now_ms));
        Some(hello)
    }

    fn is_renamed(&mut self, now_ms: u64) -> bool {
        if !self.name_schedule.is_due(now_ms) {
            return false;
        }
        self.name_schedule.done(now_ms);
        host_name().is_some_and(|host| self.identity.call(&host))
    }

    fn is_due(&self, change: Change, addresses_due: bool, now_ms: u64) -> bool {
        let Some((_, last_ms)) = self.last else { return true };
        match change {
            Change::Counted => true,
            Change::Inventory => addresses_due || now_ms >= last_ms + INVENTORY_PERIOD_MS,
            Change::None => addresses_due,
        }
    }
}
