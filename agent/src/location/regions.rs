//! The regions of the large clouds, at the places that the clouds publish.

use super::table;

/// Regions with their cloud, and latitude and longitude to a tenth of a degree, which is less than a region's
/// size.
const REGIONS: &str = include_str!("regions.tsv");

/// Latitude and longitude of a cloud's region, by the cloud's own name for it.
pub(super) fn coordinates(region: &str) -> Option<(f64, f64)> {
    table::coordinates(REGIONS, &region.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{super::table::lines, *};

    #[test]
    fn regions_are_known_once_whatever_their_case() {
        assert_eq!(coordinates("EU-Central-1"), Some((50.1, 8.7)));
        assert_eq!(coordinates("eu-central-9"), None);
        for [name, ..] in lines(REGIONS) {
            let (lat, lon) = coordinates(name).unwrap();
            assert_eq!(lines(REGIONS).filter(|[other, ..]| *other == name).count(), 1, "{name}");
            assert!(lat.abs() <= 90.0 && lon.abs() <= 180.0 && name == name.to_ascii_lowercase(), "{name}");
        }
    }
}
