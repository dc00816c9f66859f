//! The page's files: named by their content, each with a compressed twin.

use sha2::{Digest, Sha256};

/// A file's role in the page; [`Kind::placeholder`] is its name in templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `index.html`, the one file whose name never changes.
    Index,
    /// The script that starts everything.
    Boot,
    /// The script of the event stream, which all tabs share.
    Stream,
    /// The script that asks for what was before the page opened.
    Fill,
    /// The glue between module and browser, from wasm-bindgen.
    Glue,
    /// The program.
    Wasm,
    /// The glue of the program that shows the past.
    PastGlue,
    /// That program.
    PastWasm,
    /// The style sheet.
    Css,
    /// The style sheet of what is not there when the page opens.
    Details,
    /// The style sheet for print and for the system's colours.
    Modes,
    /// The icon of the browser's tab.
    Favicon,
    /// The base map that is part of the first load.
    World110,
    /// The finer base map, fetched on zooming in.
    World50,
}

impl Kind {
    /// The file's name in templates; the page itself has none.
    fn placeholder(self) -> Option<&'static str> {
        match self {
            Self::Index => None,
            Self::Boot => Some("boot"),
            Self::Stream => Some("stream"),
            Self::Fill => Some("fill"),
            Self::Glue => Some("glue"),
            Self::Wasm => Some("wasm"),
            Self::PastGlue => Some("past-glue"),
            Self::PastWasm => Some("past-wasm"),
            Self::Css => Some("css"),
            Self::Details => Some("details"),
            Self::Modes => Some("modes"),
            Self::Favicon => Some("favicon"),
            Self::World110 => Some("world110"),
            Self::World50 => Some("world50"),
        }
    }
}

/// One file.
pub(super) struct Asset {
    kind: Kind,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) gzip: Vec<u8>,
}

/// All files of the page.
#[derive(Default)]
pub(super) struct Bundle {
    assets: Vec<Asset>,
}

impl Bundle {
    /// Adds a file as `<stem>.<hash>.<extension>`: its name changes with its content, so it may be cached for
    /// ever.
    pub(super) fn add(&mut self, kind: Kind, stem: &str, extension: &str, bytes: Vec<u8>) {
        let hash = &hex(&Sha256::digest(&bytes))[..12];
        self.add_unhashed(kind, &format!("{stem}.{hash}.{extension}"), bytes);
    }

    /// Adds a file under this name, without a hash.
    pub(super) fn add_unhashed(&mut self, kind: Kind, name: &str, bytes: Vec<u8>) {
        let gzip = gzip(&bytes);
        self.assets.push(Asset { kind, name: name.to_owned(), bytes, gzip });
    }

    /// The path of the file with this name in templates, as the page names it: relative, because a proxy may
    /// serve the page under any prefix.
    pub(super) fn path_of(&self, placeholder: &str) -> Option<String> {
        let asset = self.assets.iter().find(|asset| asset.kind.placeholder() == Some(placeholder))?;
        Some(format!("./{}", asset.name))
    }

    pub(super) fn assets(&self) -> &[Asset] {
        &self.assets
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compressed once and sent often, so with the slow encoder: 5 % less than the best of zlib.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    match zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, bytes, &mut compressed) {
        Ok(()) => compressed,
        Err(error) => unreachable!("writing to memory cannot fail: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_follows_its_content() {
        let name = |content: &str| {
            let mut bundle = Bundle::default();
            bundle.add(Kind::Css, "app", "css", content.into());
            bundle.path_of("css").unwrap()
        };
        assert_eq!(name("a{}"), name("a{}"));
        assert_ne!(name("a{}"), name("b{}"));
        assert!(name("a{}").starts_with("./app.") && name("a{}").ends_with(".css"));
    }
}
