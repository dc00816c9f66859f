//! Where the large clouds say that their regions are.

/// Latitude and longitude of a cloud's region, by the name that its operator uses.
pub(super) fn coordinates(region: &str) -> Option<(f64, f64)> {
    let region = region.to_ascii_lowercase();
    REGIONS.iter().find(|(name, ..)| *name == region).map(|(_, lat, lon)| (*lat, *lon))
}

/// Regions to a tenth of a degree: a region is larger than that.
const REGIONS: &[(&str, f64, f64)] = &[
    // Amazon
    ("af-south-1", -33.9, 18.4),
    ("ap-east-1", 22.3, 114.2),
    ("ap-northeast-1", 35.7, 139.7),
    ("ap-northeast-2", 37.6, 127.0),
    ("ap-northeast-3", 34.7, 135.5),
    ("ap-south-1", 19.1, 72.9),
    ("ap-south-2", 17.4, 78.5),
    ("ap-southeast-1", 1.4, 103.8),
    ("ap-southeast-2", -33.9, 151.2),
    ("ap-southeast-3", -6.2, 106.8),
    ("ap-southeast-4", -37.8, 145.0),
    ("ca-central-1", 45.5, -73.6),
    ("ca-west-1", 51.0, -114.1),
    ("eu-central-1", 50.1, 8.7),
    ("eu-central-2", 47.4, 8.5),
    ("eu-north-1", 59.3, 18.1),
    ("eu-south-1", 45.5, 9.2),
    ("eu-south-2", 41.6, -0.9),
    ("eu-west-1", 53.3, -6.3),
    ("eu-west-2", 51.5, -0.1),
    ("eu-west-3", 48.9, 2.4),
    ("il-central-1", 32.1, 34.8),
    ("me-central-1", 25.2, 55.3),
    ("me-south-1", 26.2, 50.6),
    ("sa-east-1", -23.6, -46.6),
    ("us-east-1", 39.0, -77.5),
    ("us-east-2", 40.0, -83.0),
    ("us-west-1", 37.4, -121.9),
    ("us-west-2", 45.8, -119.7),
    // Google
    ("africa-south1", -26.2, 28.0),
    ("asia-east1", 24.1, 120.5),
    ("asia-east2", 22.3, 114.2),
    ("asia-northeast1", 35.7, 139.7),
    ("asia-northeast2", 34.7, 135.5),
    ("asia-northeast3", 37.6, 127.0),
    ("asia-south1", 19.1, 72.9),
    ("asia-south2", 28.6, 77.2),
    ("asia-southeast1", 1.4, 103.8),
    ("asia-southeast2", -6.2, 106.8),
    ("australia-southeast1", -33.9, 151.2),
    ("australia-southeast2", -37.8, 145.0),
    ("europe-central2", 52.2, 21.0),
    ("europe-north1", 60.6, 27.2),
    ("europe-southwest1", 40.4, -3.7),
    ("europe-west1", 50.4, 3.8),
    ("europe-west2", 51.5, -0.1),
    ("europe-west3", 50.1, 8.7),
    ("europe-west4", 53.4, 6.8),
    ("europe-west6", 47.4, 8.5),
    ("europe-west8", 45.5, 9.2),
    ("europe-west9", 48.9, 2.4),
    ("europe-west12", 45.1, 7.7),
    ("me-central1", 25.3, 51.5),
    ("me-west1", 32.1, 34.8),
    ("northamerica-northeast1", 45.5, -73.6),
    ("northamerica-northeast2", 43.7, -79.4),
    ("southamerica-east1", -23.6, -46.6),
    ("southamerica-west1", -33.4, -70.7),
    ("us-central1", 41.3, -95.9),
    ("us-east1", 33.2, -80.0),
    ("us-east4", 39.0, -77.5),
    ("us-east5", 40.0, -83.0),
    ("us-south1", 32.8, -96.8),
    ("us-west1", 45.6, -121.2),
    ("us-west2", 34.1, -118.2),
    ("us-west3", 40.8, -111.9),
    ("us-west4", 36.2, -115.1),
    // Microsoft
    ("australiacentral", -35.3, 149.1),
    ("australiaeast", -33.9, 151.2),
    ("australiasoutheast", -37.8, 145.0),
    ("brazilsouth", -23.6, -46.6),
    ("canadacentral", 43.7, -79.4),
    ("canadaeast", 46.8, -71.2),
    ("centralindia", 18.5, 73.9),
    ("centralus", 41.6, -93.6),
    ("eastasia", 22.3, 114.2),
    ("eastus", 37.4, -79.8),
    ("eastus2", 36.7, -78.4),
    ("francecentral", 48.9, 2.4),
    ("germanywestcentral", 50.1, 8.7),
    ("israelcentral", 32.1, 34.8),
    ("italynorth", 45.5, 9.2),
    ("japaneast", 35.7, 139.7),
    ("japanwest", 34.7, 135.5),
    ("koreacentral", 37.6, 127.0),
    ("northcentralus", 41.9, -87.6),
    ("northeurope", 53.3, -6.3),
    ("norwayeast", 59.9, 10.8),
    ("polandcentral", 52.2, 21.0),
    ("qatarcentral", 25.3, 51.5),
    ("southafricanorth", -26.2, 28.0),
    ("southcentralus", 29.4, -98.5),
    ("southeastasia", 1.4, 103.8),
    ("southindia", 13.1, 80.3),
    ("spaincentral", 40.4, -3.7),
    ("swedencentral", 60.7, 17.1),
    ("switzerlandnorth", 47.4, 8.5),
    ("uaenorth", 25.2, 55.3),
    ("uksouth", 51.5, -0.1),
    ("ukwest", 51.5, -3.2),
    ("westcentralus", 41.1, -104.8),
    ("westeurope", 52.4, 4.9),
    ("westus", 37.8, -122.4),
    ("westus2", 47.2, -119.9),
    ("westus3", 33.4, -112.1),
    // Hetzner
    ("fsn1", 50.5, 12.4),
    ("nbg1", 49.5, 11.1),
    ("hel1", 60.2, 24.9),
    ("ash", 39.0, -77.5),
    ("hil", 45.5, -123.0),
    // DigitalOcean
    ("ams3", 52.4, 4.9),
    ("blr1", 13.0, 77.6),
    ("fra1", 50.1, 8.7),
    ("lon1", 51.5, -0.1),
    ("nyc1", 40.7, -74.0),
    ("nyc3", 40.7, -74.0),
    ("sfo2", 37.8, -122.4),
    ("sfo3", 37.8, -122.4),
    ("sgp1", 1.4, 103.8),
    ("syd1", -33.9, 151.2),
    ("tor1", 43.7, -79.4),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_known_once_whatever_their_case() {
        assert_eq!(coordinates("EU-Central-1"), Some((50.1, 8.7)));
        assert_eq!(coordinates("eu-central-9"), None);
        for (at, (name, lat, lon)) in REGIONS.iter().enumerate() {
            assert!(!REGIONS[..at].iter().any(|(before, ..)| before == name), "{name} twice");
            assert!(lat.abs() <= 90.0 && lon.abs() <= 180.0 && *name == name.to_ascii_lowercase(), "{name}");
        }
    }
}
