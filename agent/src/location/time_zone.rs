//! Which time zone this host is set to.

use std::{ffi::OsStr, fs, path::PathBuf};

use super::cities;

/// Where a host stores its time zone, in the order in which the places are tried.
#[derive(Clone, Debug)]
pub(crate) struct TimeZoneFiles {
    /// The value of `TZ`.
    pub(crate) tz: Option<String>,
    /// A symbolic link into the zone files.
    pub(crate) localtime: PathBuf,
    /// A file that holds the zone's name.
    pub(crate) timezone: PathBuf,
}

impl TimeZoneFiles {
    /// The places on this host.
    pub(crate) fn of_host() -> Self {
        Self {
            tz: std::env::var_os("TZ").as_deref().and_then(OsStr::to_str).map(str::to_owned),
            localtime: "/etc/localtime".into(),
            timezone: "/etc/timezone".into(),
        }
    }

    /// The name of the zone, such as `Europe/Berlin`.
    pub(crate) fn name(&self) -> Option<String> {
        let linked = || fs::read_link(&self.localtime).ok()?.to_str().and_then(zone_name);
        let written = || fs::read_to_string(&self.timezone).ok().as_deref().and_then(zone_name);
        self.tz.as_deref().and_then(zone_name).or_else(linked).or_else(written)
    }
}

/// The zone that a `TZ` value, a path of a zone file or a line names.
fn zone_name(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches(':');
    let name = text.split_once("zoneinfo/").map_or(text, |(_, name)| name);
    let name = name.trim_start_matches("posix/").trim_start_matches("right/");
    // A POSIX rule such as `CET-1CEST` has no slash and names no city; `Japan` does.
    let is_zone = name.contains('/') && !name.starts_with('/') || cities::is_listed(name);
    is_zone.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_in_every_form() {
        for (text, zone) in [
            (":Europe/Berlin", Some("Europe/Berlin")),
            ("America/Argentina/Salta\n", Some("America/Argentina/Salta")),
            ("/usr/share/zoneinfo/Asia/Tokyo", Some("Asia/Tokyo")),
            ("../usr/share/zoneinfo/posix/Asia/Tokyo", Some("Asia/Tokyo")),
            ("/var/db/timezone/zoneinfo/US/Eastern", Some("US/Eastern")),
            ("Japan", Some("Japan")),
            ("/usr/share/zoneinfo/Singapore\n", Some("Singapore")),
            (":posix/PRC", Some("PRC")),
            ("CET-1CEST", None),
            ("Nippon", None),
            ("/etc/localtime", None),
            ("", None),
        ] {
            assert_eq!(zone_name(text).as_deref(), zone, "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_environment_wins_over_the_link_over_the_file() {
        let etc = tempfile::tempdir().unwrap();
        let mut files = TimeZoneFiles {
            tz: Some("Asia/Tokyo".into()),
            localtime: etc.path().join("localtime"),
            timezone: etc.path().join("timezone"),
        };
        assert_eq!(files.name().as_deref(), Some("Asia/Tokyo"));
        files.tz = None;
        assert_eq!(files.name(), None);
        fs::write(&files.timezone, "Europe/Paris\n").unwrap();
        assert_eq!(files.name().as_deref(), Some("Europe/Paris"));
        std::os::unix::fs::symlink("/usr/share/zoneinfo/Europe/Rome", &files.localtime).unwrap();
        assert_eq!(files.name().as_deref(), Some("Europe/Rome"));
    }
}
