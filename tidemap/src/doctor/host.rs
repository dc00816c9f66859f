//! The host: its data folder, disk, certificate, and the limit of its broker's connections.

use std::{fs, path::Path, time::Duration};

use tidemap_broker::{
    data_dir,
    tls::{self, Certificates},
};
use tidemap_service::clock::unix_ms;

use super::finding::Finding;
use crate::listen;

/// With less than this there is soon no room for the log.
const LOW_BYTES: u64 = 1 << 30;
/// Each agent has a connection, and each connection is an open file.
const FEW_FILES: u64 = 4_096;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Time to replace a certificate.
const WARNING: Duration = DAY.saturating_mul(30);

/// All checks that need neither a broker nor an API.
pub(super) fn examine(dir: &Path) -> Vec<Finding> {
    if !dir.join("keys").is_dir() {
        let found = format!("there is none in {}, or it belongs to another user", dir.display());
        let remedy = "name it with --data-dir, and run this as its owner or as root; where only an agent or an API \
                      runs, this does not matter";
        return vec![Finding::wrong("data folder", found, remedy)];
    }
    let certificate = certificate(dir, Duration::from_millis(unix_ms().unsigned_abs()));
    [Some(permissions(dir)), disk(dir), certificate, open_files(dir)].into_iter().flatten().collect()
}

fn permissions(dir: &Path) -> Finding {
    match data_dir::danger(dir) {
        None => Finding::good("data folder", format!("{}: nobody else can read its keys", dir.display())),
        Some(danger) => Finding::wrong("data folder", danger, "take others' access away"),
    }
}

fn disk(dir: &Path) -> Option<Finding> {
    tidemap_broker::free_bytes(dir).map(|free| judge_disk(dir, free))
}

fn judge_disk(dir: &Path, free: u64) -> Finding {
    let found = format!("{:.1} GB are free at {}", free as f64 / 1e9, dir.display());
    if free >= LOW_BYTES {
        return Finding::good("disk", found);
    }
    Finding::wrong("disk", found, "make room, or lower --history-disk and --disk-budget")
}

/// The broker's certificate, if it is for other hosts, judged for every name by which agents know it.
fn certificate(dir: &Path, now: Duration) -> Option<Finding> {
    let endpoint = listen::endpoint(dir)?;
    let (host, port) = listen::host_of(endpoint.strip_prefix("tls://")?)?;
    let (certificate, key) = tidemap_broker::certificate(dir)?;
    let authority = listen::authority_path(dir);
    let shown = Certificates { certificate, key, authority };
    let mut names = listen::published_names(dir);
    names.retain(|name| *name != host);
    names.push(host.clone());
    let proves = |at| names.iter().try_for_each(|name| shown.prove_to(shown.authority.as_deref(), name, at));
    Some(match (proves(now), proves(now + WARNING)) {
        // A broker that is not reached is a finding of its own.
        (Ok(()), Ok(())) => match tls::shows(&host, port, shown.authority.as_deref(), &shown.certificate) {
            Ok(false) => Finding::wrong(
                "certificate",
                format!("the broker shows another one than {}", shown.certificate.display()),
                "let it load the new one: start it again, or `kill -HUP` its process",
            ),
            _ => Finding::good("certificate", format!("agents accept it for {}", names.join(", "))),
        },
        (Err(fault), _) => Finding::wrong("certificate", fault.to_string(), "see docs/operations.md"),
        (Ok(()), Err(fault)) => Finding::wrong(
            "certificate",
            format!("in {} days: {fault}", WARNING.as_secs() / DAY.as_secs()),
            "replace it, and start again",
        ),
    })
}

/// How many agents the running broker can have.
fn open_files(dir: &Path) -> Option<Finding> {
    let limits = fs::read_to_string(format!("/proc/{}/limits", tidemap_broker::process(dir)?)).ok()?;
    soft_limit(&limits).map(judge_files)
}

/// The soft limit of open files in `/proc/<pid>/limits`; `u64::MAX` is none.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

fn judge_files(limit: u64) -> Finding {
    if limit >= FEW_FILES {
        return Finding::good("open files", format!("the broker may have {limit}: one for each agent"));
    }
    let found = format!("the broker may have {limit}, one for each agent");
    Finding::wrong("open files", found, "raise it: LimitNOFILE in a unit, ulimit -n in a shell")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_low_limit_are_wrong() {
        assert!(judge_disk(Path::new("/x"), LOW_BYTES - 1).is_wrong());
        assert!(!judge_disk(Path::new("/x"), LOW_BYTES).is_wrong());
        let limits =
            |soft| format!("Limit  Soft  Hard\nMax open files            {soft}      524288   files\n");
        assert_eq!(soft_limit(&limits("1024")), Some(1_024));
        assert_eq!(soft_limit(&limits("unlimited")), Some(u64::MAX));
        assert!(judge_files(1_024).is_wrong() && !judge_files(524_288).is_wrong());
    }
}
