//! The page's size budget, compressed.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result, bail};

const KB: u64 = 1000;

/// The limit of all files of a first load together.
const FIRST_LOAD_BYTES: u64 = 200 * KB;

/// Limits of single files: the prefix and suffix of the name, and the limit.
const FILE_BYTES: [(&str, &str, u64); 4] = [
    ("app.", ".wasm", 152 * KB),
    ("past.", ".wasm", 100 * KB),
    ("world-110.", ".bin", 25 * KB),
    ("app.", ".css", 6 * KB),
];

/// The prefixes of files that are fetched later: on zooming in, and when somebody asks for the past.
const LATER: [&str; 2] = ["world-50.", "past."];

/// A file of the page.
#[derive(Debug)]
pub(super) struct Weight {
    name: String,
    bytes: u64,
    gzip_bytes: u64,
}

/// The files in the page's folder.
pub(super) fn weigh(folder: &Path) -> Result<Vec<Weight>> {
    let mut weights = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".gz") {
            let size = |name: &str| fs::metadata(folder.join(name)).map(|file| file.len());
            let (bytes, gzip_bytes) = (size(&name)?, size(&format!("{name}.gz"))?);
            weights.push(Weight { name, bytes, gzip_bytes });
        }
    }
    weights.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(weights)
}

/// One line for each file, and the sum of the first load.
pub(super) fn table(weights: &[Weight]) -> String {
    let mut table = format!("{:<28}{:>10}{:>10}\n", "dist/web", "bytes", "gzip");
    let mut line = |name: &str, bytes: u64, gzip_bytes: u64| {
        // Writing to a String cannot fail.
        writeln!(table, "{name:<28}{bytes:>10}{gzip_bytes:>10}").unwrap_or_default();
    };
    for weight in weights {
        line(&weight.name, weight.bytes, weight.gzip_bytes);
    }
    line(
        "first load",
        first_load(weights, |weight| weight.bytes),
        first_load(weights, |weight| weight.gzip_bytes),
    );
    table
}

/// Fails with every limit that is exceeded.
pub(super) fn check(weights: &[Weight]) -> Result<()> {
    let excesses = excesses(weights);
    if !excesses.is_empty() {
        bail!("the page is over its budget (gzip): {}", excesses.join("; "));
    }
    Ok(())
}

fn excesses(weights: &[Weight]) -> Vec<String> {
    let first_load = ("first load", first_load(weights, |weight| weight.gzip_bytes), FIRST_LOAD_BYTES);
    let files = weights.iter().flat_map(|weight| {
        let limits = FILE_BYTES
            .iter()
            .filter(|(start, end, _)| weight.name.starts_with(start) && weight.name.ends_with(end));
        limits.map(|(_, _, limit)| (weight.name.as_str(), weight.gzip_bytes, *limit))
    });
    std::iter::once(first_load)
        .chain(files)
        .filter(|(_, size, limit)| size > limit)
        .map(|(what, size, limit)| format!("{what} is {size} bytes, at most {limit} are allowed"))
        .collect()
}

fn first_load(weights: &[Weight], size: impl Fn(&Weight) -> u64) -> u64 {
    weights.iter().filter(|weight| !LATER.iter().any(|name| weight.name.starts_with(name))).map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(name: &str, gzip_bytes: u64) -> Weight {
        Weight { name: name.to_owned(), bytes: 0, gzip_bytes }
    }

    #[test]
    fn the_finer_map_and_the_past_are_no_part_of_the_first_load() {
        let weights = [
            weight("world-50.1.bin", 900 * KB),
            weight("past.1.wasm", 60 * KB),
            weight("app.1.wasm", 152 * KB),
            weight("app.1.css", 6 * KB),
        ];
        assert_eq!(excesses(&weights), Vec::<String>::new());
    }

    #[test]
    fn every_limit_that_is_passed_is_named() {
        let weights = [
            weight("app.1.wasm", 152 * KB + 1),
            weight("boot.1.js", 50 * KB),
            weight("app.1.css", 6 * KB + 1),
        ];
        let found = excesses(&weights);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("first load") && found[1].starts_with("app.1.wasm"), "{found:?}");
    }

    #[test]
    fn a_file_without_its_compressed_twin_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("app.1.css"), "a{}").unwrap();
        assert!(weigh(folder.path()).is_err());
        fs::write(folder.path().join("app.1.css.gz"), "x").unwrap();
        let weights = weigh(folder.path()).unwrap();
        assert_eq!((weights[0].bytes, weights[0].gzip_bytes), (3, 1));
    }
}
