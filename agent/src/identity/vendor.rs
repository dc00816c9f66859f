//! The cloud that runs this host, from two local files about its firmware. No metadata service of a cloud is
//! asked.

use std::{fs, path::Path};

/// Vendors as firmware names them, and their clouds.
const VENDORS: [(&str, &str); 11] = [
    ("Amazon EC2", "aws"),
    ("Google", "gcp"),
    ("DigitalOcean", "digitalocean"),
    ("Hetzner", "hetzner"),
    ("Linode", "linode"),
    ("Akamai", "linode"),
    ("Vultr", "vultr"),
    ("Scaleway", "scaleway"),
    ("Alibaba Cloud", "alibaba"),
    ("OVHcloud", "ovh"),
    ("OpenStack Foundation", "openstack"),
];
/// Microsoft makes laptops too; virtual machines of its cloud carry this tag.
const AZURE_ASSET_TAG: &str = "7783-7084-3265-9085-8269-3286-77";
/// Oracle likewise.
const ORACLE_ASSET_TAG: &str = "OracleCloud.com";

/// The cloud that the firmware names.
pub(super) fn provider(sysfs: &Path) -> Option<String> {
    let dmi = |file: &str| fs::read_to_string(sysfs.join("class/dmi/id").join(file)).unwrap_or_default();
    let (vendor, tag) = (dmi("sys_vendor"), dmi("chassis_asset_tag"));
    let known = match tag.trim() {
        AZURE_ASSET_TAG => Some("azure"),
        ORACLE_ASSET_TAG => Some("oracle"),
        _ => VENDORS.iter().find(|(name, _)| vendor.trim().starts_with(name)).map(|(_, cloud)| *cloud),
    };
    known.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_is_recognized_by_its_firmware_and_a_laptop_is_not() {
        let sysfs = tempfile::tempdir().unwrap();
        let id = sysfs.path().join("class/dmi/id");
        assert_eq!(provider(sysfs.path()), None);
        fs::create_dir_all(&id).unwrap();
        fs::write(id.join("sys_vendor"), "Microsoft Corporation\n").unwrap();
        assert_eq!(provider(sysfs.path()), None);
        fs::write(id.join("chassis_asset_tag"), format!("{AZURE_ASSET_TAG}\n")).unwrap();
        assert_eq!(provider(sysfs.path()).as_deref(), Some("azure"));
        fs::write(id.join("chassis_asset_tag"), "\n").unwrap();
        fs::write(id.join("sys_vendor"), "Amazon EC2\n").unwrap();
        assert_eq!(provider(sysfs.path()).as_deref(), Some("aws"));
    }
}
