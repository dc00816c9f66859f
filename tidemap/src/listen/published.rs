//! How nodes reach the broker, as `tidemap up` writes it to its data folder for `tidemap enroll` and for the
//! next start.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use tidemap_broker::data_dir;

use super::advertised::Advertised;

/// The URL under which nodes reach the broker.
const ENDPOINT: &str = "endpoint";
/// The authority of that broker's certificate (PEM), unless a public one signed it.
const AUTHORITY: &str = "endpoint-ca.pem";
/// The name that was chosen for this host.
const NAME: &str = "advertised";

/// Writes the broker's URL and its authority.
pub(super) fn write(dir: &Path, url: &str, authority: Option<&Path>) -> anyhow::Result<()> {
    write_authority(dir, authority).context("cannot write the broker's authority to the data folder")?;
    Ok(data_dir::write(&dir.join(ENDPOINT), url)?)
}

fn write_authority(dir: &Path, authority: Option<&Path>) -> anyhow::Result<()> {
    let path = dir.join(AUTHORITY);
    match authority {
        Some(authority) => Ok(data_dir::write(&path, &fs::read_to_string(authority)?)?),
        None => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        },
    }
}

/// Keeps the chosen name for starts that name none.
pub(super) fn keep_name(dir: &Path, name: &Advertised) -> anyhow::Result<()> {
    Ok(data_dir::write(&dir.join(NAME), &format!("{name}\n"))?)
}

/// The name that was kept.
pub(super) fn kept_name(dir: &Path) -> Option<Advertised> {
    fs::read_to_string(dir.join(NAME)).ok()?.parse().ok()
}

/// How nodes reach the broker of a data folder.
pub(crate) fn endpoint(dir: &Path) -> Option<String> {
    fs::read_to_string(dir.join(ENDPOINT)).ok()
}

/// The authority of that broker's certificate (PEM), likewise; `None` is a public one.
pub(crate) fn authority(dir: &Path) -> Option<String> {
    fs::read_to_string(authority_path(dir)?).ok()
}

/// The file with that authority.
pub(crate) fn authority_path(dir: &Path) -> Option<PathBuf> {
    Some(dir.join(AUTHORITY)).filter(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_in_the_data_folder_is_the_one_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let pem = dir.path().join("theirs.pem");
        for text in ["old", "new"] {
            fs::write(&pem, text).unwrap();
            write_authority(dir.path(), Some(&pem)).unwrap();
            assert_eq!(authority(dir.path()).as_deref(), Some(text));
        }
        for _ in 0..2 {
            write_authority(dir.path(), None).unwrap();
            assert_eq!(authority(dir.path()), None);
        }
        write_authority(dir.path(), Some(Path::new("/no/such.pem"))).unwrap_err();
    }
}
