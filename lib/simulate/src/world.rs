//! Where synthetic nodes are: cities with data centres.

/// A place for nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct City {
    /// A short name, as operators use in host names.
    pub(crate) code: &'static str,
    /// The name on the map.
    pub(crate) label: &'static str,
    /// Degrees north.
    pub(crate) lat: f64,
    /// Degrees east.
    pub(crate) lon: f64,
    /// Share of the nodes that are here, relative to the other cities.
    pub(crate) weight: u32,
}

const fn city(code: &'static str, label: &'static str, lat: f64, lon: f64, weight: u32) -> City {
    City { code, label, lat, lon, weight }
}

/// Providers of the nodes.
pub(crate) const PROVIDERS: [&str; 5] = ["metal", "aws", "gcp", "hetzner", "edge"];

/// Roles of the nodes.
pub(crate) const ROLES: [&str; 6] = ["web", "db", "cache", "edge", "gpu", "store"];

pub(crate) const CITIES: [City; 48] = [
    city("fra", "Frankfurt", 50.11, 8.68, 9),
    city("ams", "Amsterdam", 52.37, 4.90, 8),
    city("lon", "London", 51.51, -0.13, 8),
    city("par", "Paris", 48.86, 2.35, 5),
    city("mad", "Madrid", 40.42, -3.70, 3),
    city("mil", "Milan", 45.46, 9.19, 3),
    city("zrh", "Zurich", 47.37, 8.54, 3),
    city("sto", "Stockholm", 59.33, 18.07, 3),
    city("hel", "Helsinki", 60.17, 24.94, 3),
    city("waw", "Warsaw", 52.23, 21.01, 3),
    city("dub", "Dublin", 53.35, -6.26, 4),
    city("lis", "Lisbon", 38.72, -9.14, 1),
    city("ath", "Athens", 37.98, 23.73, 1),
    city("ist", "Istanbul", 41.01, 28.98, 2),
    city("kbp", "Kyiv", 50.45, 30.52, 1),
    city("rkv", "Reykjavik", 64.15, -21.94, 1),
    city("iad", "Ashburn", 39.04, -77.49, 12),
    city("nyc", "New York", 40.71, -74.01, 6),
    city("chi", "Chicago", 41.88, -87.63, 5),
    city("dfw", "Dallas", 32.78, -96.80, 5),
    city("mia", "Miami", 25.76, -80.19, 3),
    city("den", "Denver", 39.74, -104.99, 2),
    city("sjc", "San Jose", 37.34, -121.89, 6),
    city("sea", "Seattle", 47.61, -122.33, 4),
    city("lax", "Los Angeles", 34.05, -118.24, 4),
    city("yyz", "Toronto", 43.65, -79.38, 3),
    city("yvr", "Vancouver", 49.28, -123.12, 1),
    city("mex", "Mexico City", 19.43, -99.13, 2),
    city("bog", "Bogotá", 4.71, -74.07, 1),
    city("lim", "Lima", -12.05, -77.04, 1),
    city("gru", "São Paulo", -23.55, -46.63, 5),
    city("eze", "Buenos Aires", -34.60, -58.38, 2),
    city("scl", "Santiago", -33.45, -70.67, 2),
    city("jnb", "Johannesburg", -26.20, 28.05, 2),
    city("los", "Lagos", 6.52, 3.38, 1),
    city("nbo", "Nairobi", -1.29, 36.82, 1),
    city("cai", "Cairo", 30.04, 31.24, 1),
    city("dxb", "Dubai", 25.20, 55.27, 3),
    city("tlv", "Tel Aviv", 32.09, 34.78, 1),
    city("bom", "Mumbai", 19.08, 72.88, 5),
    city("blr", "Bengaluru", 12.97, 77.59, 2),
    city("sin", "Singapore", 1.35, 103.82, 7),
    city("hkg", "Hong Kong", 22.32, 114.17, 4),
    city("tpe", "Taipei", 25.03, 121.57, 2),
    city("nrt", "Tokyo", 35.68, 139.69, 7),
    city("icn", "Seoul", 37.57, 126.98, 4),
    city("syd", "Sydney", -33.87, 151.21, 4),
    city("akl", "Auckland", -36.85, 174.76, 1),
];

/// The city of a number below the sum of all weights.
pub(crate) fn city_of(mut ticket: u32) -> &'static City {
    for city in &CITIES {
        if ticket < city.weight {
            return city;
        }
        ticket -= city.weight;
    }
    &CITIES[0]
}

/// The sum of all weights.
pub(crate) fn tickets() -> u32 {
    CITIES.iter().map(|city| city.weight).sum()
}
