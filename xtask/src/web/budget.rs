//! What the page may weigh, compressed.

use std::fmt::Write;

use anyhow::{Result, bail};

use super::bundle::{Asset, Kind};

const KB: usize = 1000;

/// The most that all files of a first load may weigh together.
const FIRST_LOAD_BYTES: usize = 200 * KB;

/// The most that a file may weigh alone.
const FILE_BYTES: [(Kind, usize); 3] =
    [(Kind::Wasm, 150 * KB), (Kind::World110, 25 * KB), (Kind::Css, 6 * KB)];

/// Fails with every limit that is passed.
pub(super) fn check(assets: &[Asset]) -> Result<()> {
    let excesses = excesses(&assets.iter().map(|asset| (asset.kind, asset.gzip.len())).collect::<Vec<_>>());
    if !excesses.is_empty() {
        bail!("the page is over its budget (gzip): {}", excesses.join("; "));
    }
    Ok(())
}

/// One line for each file, and the sum of the first load.
pub(super) fn table(assets: &[Asset]) -> String {
    let mut table = format!("{:<28}{:>10}{:>10}\n", "dist/web", "bytes", "gzip");
    let mut line = |name: &str, raw: usize, gzip: usize| {
        // Writing to a String cannot fail.
        writeln!(table, "{name:<28}{raw:>10}{gzip:>10}").unwrap_or_default();
    };
    for asset in assets {
        line(&asset.name, asset.bytes.len(), asset.gzip.len());
    }
    let first = assets.iter().filter(|asset| is_first_load(asset.kind));
    let (raw, gzip) = first.fold((0, 0), |sum, asset| (sum.0 + asset.bytes.len(), sum.1 + asset.gzip.len()));
    line("first load", raw, gzip);
    table
}

fn excesses(sizes: &[(Kind, usize)]) -> Vec<String> {
    let first_load = sizes.iter().filter(|(kind, _)| is_first_load(*kind)).map(|(_, size)| size).sum();
    let of_kind = |kind| sizes.iter().find(|(other, _)| *other == kind).map_or(0, |(_, size)| *size);
    let files = FILE_BYTES.into_iter().map(|(kind, limit)| (format!("{kind:?}"), of_kind(kind), limit));
    std::iter::once(("first load".to_owned(), first_load, FIRST_LOAD_BYTES))
        .chain(files)
        .filter(|(_, size, limit)| size > limit)
        .map(|(what, size, limit)| format!("{what} is {size} bytes, at most {limit} are allowed"))
        .collect()
}

fn is_first_load(kind: Kind) -> bool {
    kind != Kind::World50
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finer_map_is_no_part_of_the_first_load() {
        assert!(
            excesses(&[(Kind::World50, 900 * KB), (Kind::Wasm, 150 * KB), (Kind::Css, 6 * KB)]).is_empty()
        );
    }

    #[test]
    fn every_limit_that_is_passed_is_named() {
        let found = excesses(&[(Kind::Wasm, 150 * KB + 1), (Kind::Boot, 50 * KB), (Kind::Css, 6 * KB + 1)]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("first load"));
    }
}
