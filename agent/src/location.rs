//! Where this node is. No third party is asked, because the wrong guesses of such services are what people
//! complain about.
//!
//! The first of these that is known: the operator's setting, the cloud region among the labels, the city of
//! the time zone. The last one is approximate and reported as such.

mod cities;
mod regions;
mod table;
mod time_zone;

use std::collections::BTreeMap;

use tidemap_wire::{Location, LocationSource};

pub(crate) use time_zone::TimeZoneFiles;

/// Labels that name a cloud's region.
const REGION_LABELS: [&str; 3] =
    ["region", "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"];

/// The best known location of this node.
pub(crate) fn find(
    given: Option<&Location>,
    labels: &BTreeMap<String, String>,
    time_zone: Option<&str>,
) -> Option<Location> {
    given.cloned().or_else(|| by_region(labels)).or_else(|| by_time_zone(time_zone?))
}

fn by_region(labels: &BTreeMap<String, String>) -> Option<Location> {
    let region = REGION_LABELS.iter().find_map(|key| labels.get(*key))?;
    let (lat, lon) = regions::coordinates(region)?;
    Some(Location { lat, lon, label: Some(region.clone()), source: LocationSource::Region })
}

fn by_time_zone(zone: &str) -> Option<Location> {
    let (lat, lon, city) = cities::city(zone)?;
    Some(Location { lat, lon, label: Some(city), source: LocationSource::TimeZone })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_setting_wins_over_the_region_over_the_time_zone() {
        let labels = BTreeMap::from([("region".to_owned(), "eu-central-1".to_owned())]);
        let here = Location { lat: 1.0, lon: 2.0, label: None, source: LocationSource::Given };
        let none = BTreeMap::new();
        let source = |given, labels, zone| find(given, labels, zone).map(|place| place.source);
        assert_eq!(source(Some(&here), &labels, Some("Asia/Tokyo")), Some(LocationSource::Given));
        assert_eq!(source(None, &labels, Some("Asia/Tokyo")), Some(LocationSource::Region));
        assert_eq!(source(None, &none, Some("Asia/Tokyo")), Some(LocationSource::TimeZone));
        assert_eq!(source(None, &none, Some("Etc/UTC")), None);
        assert_eq!(source(None, &none, None), None);
    }

    #[test]
    fn an_unknown_region_is_no_location() {
        let labels = BTreeMap::from([("region".to_owned(), "moon-1".to_owned())]);
        assert_eq!(find(None, &labels, None), None);
    }
}
