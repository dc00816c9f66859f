//! The cities that time zones are named after.

use super::table::{coordinates, lines};

/// Zones with their city's latitude and longitude, to a hundredth of a degree: those of the time zone
/// database, also the ones that it has merged with others since.
const CITIES: &str = include_str!("cities.tsv");
/// Older and other names of zones, with the names in the table of cities. Names of mere offsets are not
/// among them: whoever sets `EST`, `CET` or `UTC` has said when it is noon, not where.
const ALIASES: &str = include_str!("aliases.tsv");

/// Whether this names a zone that has a place.
pub(super) fn is_listed(zone: &str) -> bool {
    lines(ALIASES).chain(lines(CITIES)).any(|[listed, ..]| listed == zone)
}

/// The place of a time zone: latitude, longitude and its city.
pub(super) fn city(zone: &str) -> Option<(f64, f64, String)> {
    let zone = lines(ALIASES).find(|[alias, ..]| *alias == zone).map_or(zone, |[_, zone, _]| zone);
    let (lat, lon) = coordinates(CITIES, zone)?;
    let city = zone.rsplit('/').next()?.replace('_', " ");
    Some((lat, lon, city))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_zone_names_are_known_and_no_zone_is_listed_twice() {
        assert_eq!(city("Asia/Calcutta"), Some((22.57, 88.36, "Kolkata".to_owned())));
        assert_eq!(city("America/New_York").map(|(.., city)| city).as_deref(), Some("New York"));
        assert_eq!(city("Etc/UTC"), None);
        let zones: Vec<&str> = lines(CITIES).map(|[zone, ..]| zone).collect();
        assert!(zones.is_sorted() && zones.windows(2).all(|two| two[0] != two[1]));
        for [alias, zone, _] in lines(ALIASES) {
            assert!(city(zone).is_some() && !zones.contains(&alias), "{alias} {zone}");
        }
    }

    #[test]
    fn the_link_names_of_the_time_zone_database_have_places() {
        for (zone, place) in [
            ("Singapore", "Singapore"),
            ("Japan", "Tokyo"),
            ("PRC", "Shanghai"),
            ("Hongkong", "Hong Kong"),
            ("ROC", "Taipei"),
            ("ROK", "Seoul"),
            ("Iceland", "Reykjavik"),
            ("Jamaica", "Jamaica"),
            ("GB-Eire", "London"),
            ("NZ-CHAT", "Chatham"),
            ("W-SU", "Moscow"),
            ("EST5EDT", "New York"),
            ("US/Indiana-Starke", "Knox"),
            ("America/Argentina/ComodRivadavia", "Catamarca"),
            ("Asia/Chongqing", "Chongqing"),
            ("America/Dawson_Creek", "Dawson Creek"),
        ] {
            assert_eq!(city(zone).map(|(.., city)| city).as_deref(), Some(place), "{zone}");
        }
        for offset in ["UTC", "GMT", "Etc/GMT+8", "CET", "EST", "Zulu", "Factory"] {
            assert_eq!(city(offset), None, "{offset}");
        }
    }

    /// The database of this system, where there is one: every zone but those of mere offsets has a place.
    #[test]
    fn no_zone_of_this_system_is_without_a_place() {
        let Ok(database) = std::fs::read_to_string("/usr/share/zoneinfo/tzdata.zi") else { return };
        let zones = database.lines().filter_map(|line| {
            let mut words = line.split(' ');
            match words.next()? {
                "Z" => words.next(),
                "L" => words.nth(1),
                _ => None,
            }
        });
        let is_offset = |zone: &str| zone.starts_with("Etc/") || OFFSETS.contains(&zone);
        let without: Vec<&str> = zones.filter(|zone| !is_offset(zone) && !is_listed(zone)).collect();
        assert!(without.is_empty(), "{without:?}");
    }

    const OFFSETS: [&str; 16] = [
        "CET",
        "EET",
        "EST",
        "Factory",
        "GMT",
        "GMT+0",
        "GMT-0",
        "GMT0",
        "Greenwich",
        "MET",
        "MST",
        "UCT",
        "UTC",
        "Universal",
        "WET",
        "Zulu",
    ];

    #[test]
    fn every_city_lies_where_its_zone_says() {
        for [zone, ..] in lines(CITIES) {
            let (lat, lon, _) = city(zone).unwrap();
            let (lats, lons) = match zone.split('/').next().unwrap() {
                "Africa" => (-35.0..38.0, -18.0..52.0),
                "America" => (-56.0..84.0, -180.0..-18.0),
                "Antarctica" => (-90.0..-54.0, -180.0..180.0),
                "Arctic" => (66.0..90.0, -180.0..180.0),
                "Asia" => (-12.0..78.0, 26.0..180.0),
                "Atlantic" => (-60.0..72.0, -66.0..-4.0),
                "Australia" => (-44.0..-10.0, 112.0..160.0),
                "Europe" => (34.0..72.0, -25.0..62.0),
                "Indian" => (-50.0..8.0, 38.0..106.0),
                _ => (-50.0..29.0, -180.0..180.0),
            };
            assert!(lats.contains(&lat) && lons.contains(&lon), "{zone} {lat} {lon}");
        }
    }
}
