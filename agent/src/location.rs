//! Where this node is. Nobody else is asked: a wrong guess by a third party is what people complain about.
//!
//! First that is known: the operator's word, the cloud region among the labels, the city of the time zone. The last is
//! approximate by nature and says so.

mod cities;
mod regions;
mod time_zone;

use std::collections::BTreeMap;

use tidemap_wire::{Location, LocationSource};

use crate::args::MAX_TEXT_BYTES;

pub use time_zone::TimeZoneFiles;

/// Labels that name a cloud's region.
const REGION_LABELS: [&str; 3] =
    ["region", "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"];

/// Reads `lat,lon` or `lat,lon,label`.
///
/// # Errors
///
/// When it is neither, or a coordinate is out of range.
pub fn given(text: &str) -> Result<Location, String> {
    let mut parts = text.splitn(3, ',').map(str::trim);
    let mut degrees = |limit: f64| parts.next()?.parse::<f64>().ok().filter(|value| value.abs() <= limit);
    let (Some(lat), Some(lon)) = (degrees(90.0), degrees(180.0)) else {
        return Err("not of the form lat,lon[,label] with lat in -90..90 and lon in -180..180".to_owned());
    };
    let label = parts.next().filter(|label| !label.is_empty()).map(str::to_owned);
    if label.as_ref().is_some_and(|label| label.len() > MAX_TEXT_BYTES) {
        return Err(format!("the label is longer than {MAX_TEXT_BYTES} bytes"));
    }
    Ok(Location { lat, lon, label, source: LocationSource::Given })
}

/// The best that is known of where this node is.
pub fn find(
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
    fn an_explicit_place_is_taken_as_it_is() {
        let place = given(" 52.5 , 13.4 , Berlin, Rack 3 ").unwrap();
        assert_eq!((place.lat, place.lon, place.label.as_deref()), (52.5, 13.4, Some("Berlin, Rack 3")));
        assert_eq!(given("-90,180").unwrap().label, None);
        for bad in ["", "1", "1,", "91,0", "0,181", "NaN,0", "inf,0", "a,b"] {
            assert!(given(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_operators_word_outranks_the_region_and_that_the_time_zone() {
        let labels = BTreeMap::from([("region".to_owned(), "eu-central-1".to_owned())]);
        let here = given("1,2").unwrap();
        let none = BTreeMap::new();
        let source = |given, labels, zone| find(given, labels, zone).map(|place| place.source);
        assert_eq!(source(Some(&here), &labels, Some("Asia/Tokyo")), Some(LocationSource::Given));
        assert_eq!(source(None, &labels, Some("Asia/Tokyo")), Some(LocationSource::Region));
        assert_eq!(source(None, &none, Some("Asia/Tokyo")), Some(LocationSource::TimeZone));
        assert_eq!(source(None, &none, Some("Etc/UTC")), None);
        assert_eq!(source(None, &none, None), None);
    }

    #[test]
    fn a_region_nobody_knows_is_no_place() {
        let labels = BTreeMap::from([("region".to_owned(), "moon-1".to_owned())]);
        assert_eq!(find(None, &labels, None), None);
    }
}
