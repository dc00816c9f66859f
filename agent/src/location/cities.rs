//! The cities that time zones are named after.

use super::table::{coordinates, lines};

/// Zones with their city's latitude and longitude, to a hundredth of a degree.
const CITIES: &str = include_str!("cities.tsv");
/// Older and other names of zones, with the names in the table of cities.
const ALIASES: &str = include_str!("aliases.tsv");

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
    fn every_city_lies_where_its_zone_says() {
        for [zone, ..] in lines(CITIES) {
            let (lat, lon, _) = city(zone).unwrap();
            let (lats, lons) = match zone.split('/').next().unwrap() {
                "Africa" => (-35.0..38.0, -18.0..52.0),
                "America" => (-56.0..84.0, -170.0..-34.0),
                "Asia" => (-12.0..78.0, 26.0..180.0),
                "Atlantic" => (-60.0..66.0, -66.0..-4.0),
                "Australia" => (-44.0..-10.0, 112.0..154.0),
                "Europe" => (34.0..72.0, -25.0..62.0),
                "Indian" => (-50.0..8.0, 38.0..106.0),
                _ => (-50.0..29.0, -180.0..180.0),
            };
            assert!(lats.contains(&lat) && lons.contains(&lon), "{zone} {lat} {lon}");
        }
    }
}
