//! The licences of everything that a release contains, in one text. Each text that several packages share
//! word for word is in it once.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};

use super::{broker::Broker, components::Component};

/// How names of files with a licence, or with what a licence wants to be passed on, begin.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "UNLICENSE", "COPYING", "NOTICE", "COPYRIGHT"];

/// The whole text.
pub(super) fn text(components: &[Component], broker: Option<&Broker>) -> Result<String> {
    let mut texts = BTreeMap::<String, Vec<String>>::new();
    let mut bare = Vec::new();
    for component in components {
        let title = format!("{} {}", component.name, component.version);
        let found = component.folder.as_deref().map(licences).transpose()?.unwrap_or_default();
        if found.is_empty() {
            bare.push(format!("{title}: {}", component.licence.as_deref().unwrap_or("see its module")));
        }
        for text in found {
            texts.entry(text).or_default().push(title.clone());
        }
    }
    if let Some(broker) = broker {
        let text = normal(&String::from_utf8_lossy(&broker.licence));
        texts.entry(text).or_default().push("nats-server".to_owned());
    }
    let mut sections: Vec<(String, String)> =
        texts.into_iter().map(|(text, titles)| (titles.join(", "), text)).collect();
    sections.sort();
    let mut whole = "What Tidemap's programs contain of others, and under which licences.\n".to_owned();
    for (titles, text) in sections {
        whole.push_str(&format!("\n{}\n{titles}\n\n{text}\n", "=".repeat(78)));
    }
    if !bare.is_empty() {
        let packages = bare.join("\n");
        whole
            .push_str(&format!("\n{}\nPackages without a text of their own\n\n{packages}\n", "=".repeat(78)));
    }
    Ok(whole)
}

/// The texts in a package's folder.
fn licences(folder: &Path) -> Result<Vec<String>> {
    let mut files = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        file.is_file() && NAMES.iter().any(|begin| name.starts_with(begin)) && !name.ends_with(".RS")
    });
    files.sort();
    files.iter().map(|file| Ok(normal(&String::from_utf8_lossy(&fs::read(file)?)))).collect()
}

/// Without what makes texts differ that say the same.
fn normal(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_shared_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let component = |name: &str, text: &str| {
            let sources = folder.path().join(name);
            fs::create_dir(&sources).unwrap();
            fs::write(sources.join("license-mit.txt"), text).unwrap();
            fs::write(sources.join("lib.rs"), "no licence").unwrap();
            Component {
                name: name.to_owned(),
                version: "1".to_owned(),
                ecosystem: "cargo",
                licence: Some("MIT".to_owned()),
                checksum: None,
                folder: Some(sources),
            }
        };
        let bare = Component { folder: None, ..component("bare", "") };
        let all = [component("a", "same\r\ntext \r\n"), component("b", "same\ntext"), bare];
        let broker = Broker { program: "nats-server".into(), licence: b"Apache".to_vec() };
        let text = text(&all, Some(&broker)).unwrap();
        assert_eq!(text.matches("same\ntext").count(), 1, "{text}");
        assert!(text.contains("a 1, b 1\n\nsame") && text.contains("nats-server\n\nApache"), "{text}");
        assert!(text.contains("bare 1: MIT") && !text.contains("no licence"), "{text}");
    }
}
