//! What images are made of, as `deploy/docker/Dockerfile` takes it.

use std::fs;

use anyhow::{Context, Result};

use super::{
    Release,
    package::{self, Parts},
    platform::Platform,
};
use crate::tools;

/// Mozilla's list of public authorities, as `PyPI` has it.
const CERTIFICATES: &str = "certifi==2026.10.18";
const CERTIFICATES_LOCKED: &str = include_str!("../../requirements/certificates.txt");

/// Writes `image/<architecture>`, named as images name it: the files below the root, and an empty folder
/// for the data, which is to belong to the image's user.
pub(super) fn write(release: &Release<'_>, platform: Platform, parts: &Parts<'_>) -> Result<()> {
    let certificates = tools::fetch(release.workspace, &[CERTIFICATES], CERTIFICATES_LOCKED)
        .with_context(|| format!("pip cannot fetch {CERTIFICATES}"))?;
    let folder = release.folder.join("image").join(platform.debian);
    package::image(parts, &certificates.join("certifi/cacert.pem")).write(&folder.join("root"))?;
    Ok(fs::create_dir_all(folder.join("data"))?)
}
