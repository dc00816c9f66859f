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
/// The URLs under which nodes of other hosts know the broker, the present one last. They stay when a start is
/// for this host alone.
const NETWORK: &str = "network-endpoints";
/// The authority that those nodes trust (PEM), unless it is a public one.
const NETWORK_AUTHORITY: &str = "network-ca.pem";
/// A host whose address changes daily must not be known by more and more for ever.
const MOST: usize = 50;

/// Writes the broker's URL and its authority.
pub(super) fn write(dir: &Path, url: &str, authority: Option<&Path>) -> anyhow::Result<()> {
    write_authority(dir, AUTHORITY, authority)?;
    Ok(data_dir::write(&dir.join(ENDPOINT), url)?)
}

/// Keeps what is published to nodes of other hosts: the URLs of before that they may still use, and this one.
pub(super) fn keep_published(
    dir: &Path,
    before: &[Advertised],
    now: &Advertised,
    authority: Option<&Path>,
) -> anyhow::Result<()> {
    write_authority(dir, NETWORK_AUTHORITY, authority)?;
    let mut all: Vec<&Advertised> = before.iter().filter(|url| *url != now).chain([now]).collect();
    all.drain(..all.len().saturating_sub(MOST));
    let lines: String = all.into_iter().map(|there| format!("tls://{there}\n")).collect();
    Ok(data_dir::write(&dir.join(NETWORK), &lines)?)
}

/// What nodes of other hosts know: host and port, the latest last, and the authority. Version 0.1 has left
/// only the latest.
pub(super) fn published(dir: &Path) -> (Vec<Advertised>, Option<PathBuf>) {
    let parse = |text: &str| text.trim().strip_prefix("tls://")?.parse::<Advertised>().ok();
    let kept = fs::read_to_string(dir.join(NETWORK)).unwrap_or_default();
    let mut urls: Vec<Advertised> = kept.lines().filter_map(parse).collect();
    let last = endpoint(dir).as_deref().and_then(parse);
    let authority = if last.is_some() { AUTHORITY } else { NETWORK_AUTHORITY };
    if let Some(last) = last.filter(|last| urls.last() != Some(last)) {
        urls.push(last);
    }
    (urls, Some(dir.join(authority)).filter(|path| path.exists()))
}

fn write_authority(dir: &Path, name: &str, authority: Option<&Path>) -> anyhow::Result<()> {
    copy_authority(&dir.join(name), authority)
        .context("cannot write the broker's authority to the data folder")
}

fn copy_authority(path: &Path, authority: Option<&Path>) -> anyhow::Result<()> {
    match authority {
        Some(authority) => Ok(data_dir::write(path, &fs::read_to_string(authority)?)?),
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
            write_authority(dir.path(), AUTHORITY, Some(&pem)).unwrap();
            assert_eq!(authority(dir.path()).as_deref(), Some(text));
        }
        for _ in 0..2 {
            write_authority(dir.path(), AUTHORITY, None).unwrap();
            assert_eq!(authority(dir.path()), None);
        }
        write_authority(dir.path(), AUTHORITY, Some(Path::new("/no/such.pem"))).unwrap_err();
    }
}
