//! What an installation has left behind.

use std::collections::BTreeSet;

use tidemap_testkit::booted::Host;

/// What changes on a host by itself, or is kept on purpose: where, and why.
const KEPT: [(&str, &str); 12] = [
    ("/root/tidemap", "the package itself, which the test has copied there"),
    ("/var/log/", "what dpkg and the system have written down"),
    ("/var/lib/dpkg/", "dpkg's own lists, of which it keeps the ones before"),
    ("/var/lib/apt/", "apt's own lists"),
    ("/var/cache/", "caches of the system"),
    ("/var/lib/systemd/", "the clock, timers, a random seed"),
    ("/etc/passwd", "the user of the stations: its number must not become somebody else's"),
    ("/etc/group", "the same"),
    ("/etc/shadow", "the same"),
    ("/etc/gshadow", "the same"),
    ("/var/tmp/systemd-private-", "the same as in /tmp"),
    ("/tmp/", "the system's services have folders there while they run"),
];

/// The files of a host, and of its configuration also what is in them.
pub(crate) struct Files(BTreeSet<String>);

impl Files {
    pub(crate) async fn of(host: &Host) -> anyhow::Result<Self> {
        let list = "find / -xdev -not -type d -print; find / -xdev -type d -printf '%p/\\n'; \
                    find /etc -xdev -type f -exec sha256sum {} +";
        // A hash stands before the path that it is of.
        let line = |line: &str| match line.split_once("  /") {
            Some((hash, path)) => format!("/{path} {hash}"),
            None => line.to_owned(),
        };
        Ok(Self(host.must(list).await?.lines().map(line).collect()))
    }

    /// What is there, or is gone, that was otherwise `before`.
    pub(crate) fn since(&self, before: &Self) -> Vec<String> {
        let kept = |line: &&String| KEPT.iter().any(|(place, _)| line.starts_with(place));
        let changed = |mark, these: &Self, those: &Self| -> Vec<String> {
            these
                .0
                .difference(&those.0)
                .filter(|line| !kept(line))
                .map(|line| format!("{mark} {line}"))
                .collect()
        };
        [changed('+', self, before), changed('-', before, self)].concat()
    }
}
