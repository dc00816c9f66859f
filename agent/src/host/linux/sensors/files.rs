//! The files of sensors. Their folders are numbered in the order in which drivers are loaded, so a number
//! may belong to another sensor tomorrow.

use std::path::{Path, PathBuf};

use super::super::{entries, text};

/// A chip with sensors, or a thermal zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chip {
    pub(super) folder: PathBuf,
    /// The driver's name, or the zone's type.
    pub(super) name: String,
}

/// One value of a chip.
#[derive(Clone, Debug)]
pub(super) struct Input {
    value: PathBuf,
    /// Says whether the sensor is broken, where the chip can know.
    fault: Option<PathBuf>,
}

/// The inputs of the chips that were there when they were last looked for.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    chips: Vec<Chip>,
    inputs: Vec<Input>,
}

impl Inputs {
    /// The present values. `find` looks for the inputs again when a chip has come, gone or changed its
    /// number, or when one could not be read.
    pub(super) fn values(&mut self, chips: Vec<Chip>, find: impl FnOnce(&[Chip]) -> Vec<Input>) -> Vec<i64> {
        if chips != self.chips {
            self.inputs = find(&chips);
            self.chips = chips;
        }
        let values: Vec<_> = self.inputs.iter().map(Input::value).collect();
        if values.contains(&None) {
            self.chips.clear();
        }
        values.into_iter().flatten().collect()
    }
}

impl Input {
    /// An input without any file beside it.
    pub(super) fn alone(value: PathBuf) -> Self {
        Self { value, fault: None }
    }

    /// Where its label is, if it has one.
    pub(super) fn label(&self) -> Option<String> {
        text(&beside(&self.value, "label")?)
    }

    fn value(&self) -> Option<i64> {
        let is_broken = self.fault.as_ref().and_then(|fault| text(fault)).is_some_and(|fault| fault == "1");
        number(&self.value).filter(|_| !is_broken)
    }
}

/// The folders in `parent` that begin with `prefix`, with the text of their file `name`.
pub(super) fn chips(parent: &Path, prefix: &str, name: &str) -> Vec<Chip> {
    let chip = |folder: PathBuf| {
        // Before Linux 3.14, a chip's files are in its device's folder.
        let with_name = |folder: PathBuf| Some(Chip { name: text(&folder.join(name))?, folder });
        let of_device = folder.join("device");
        with_name(folder.clone())
            .or_else(|| with_name(of_device))
            .unwrap_or_else(|| Chip { folder, name: String::new() })
    };
    entries(parent, |entry| entry.starts_with(prefix)).into_iter().map(chip).collect()
}

/// The inputs of one kind, such as `temp`.
pub(super) fn inputs(chip: &Chip, kind: &str) -> Vec<Input> {
    let values = entries(&chip.folder, |name| name.starts_with(kind) && name.ends_with("_input"));
    let input = |value: PathBuf| Input { fault: beside(&value, "fault").filter(|file| file.exists()), value };
    values.into_iter().map(input).collect()
}

pub(super) fn number(file: &Path) -> Option<i64> {
    text(file)?.parse().ok()
}

/// The file about the same sensor with another ending: `temp1_label` beside `temp1_input`.
fn beside(value: &Path, ending: &str) -> Option<PathBuf> {
    let name = value.file_name()?.to_str()?.strip_suffix("input")?;
    Some(value.with_file_name(name.to_owned() + ending))
}
