//! A file of procfs that is read repeatedly.

use std::{fs::File, io, os::unix::fs::FileExt, path::PathBuf};

/// Larger than most files of procfs.
const FIRST_BYTES: usize = 4096;

/// A file that stays open. The kernel generates its content whenever it is read from the beginning, and
/// opening it costs more than reading it.
#[derive(Debug)]
pub(super) struct KeptFile {
    path: PathBuf,
    file: Option<File>,
    bytes: Vec<u8>,
}

impl KeptFile {
    /// The file at `path`, which need not exist yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None, bytes: Vec::new() }
    }

    /// The file's present content.
    pub(super) fn text(&mut self) -> Option<&str> {
        // The open file may be dead while the path leads to its successor, as after a restart of LXCFS.
        let read = self
            .file
            .as_ref()
            .map_or(Err(io::ErrorKind::NotFound.into()), |file| read(file, &mut self.bytes));
        let length = read.or_else(|_| self.open_and_read()).ok()?;
        str::from_utf8(&self.bytes[..length]).ok()
    }

    fn open_and_read(&mut self) -> io::Result<usize> {
        self.file = None;
        let file = File::open(&self.path)?;
        let length = read(&file, &mut self.bytes)?;
        self.file = Some(file);
        Ok(length)
    }
}

/// Reads to the end of the file; a short read is not the end.
fn read(file: &File, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let mut length = 0;
    loop {
        if length == bytes.len() {
            bytes.resize((2 * length).max(FIRST_BYTES), 0);
        }
        match file.read_at(&mut bytes[length..], u64::try_from(length).unwrap_or(u64::MAX))? {
            0 => return Ok(length),
            more => length += more,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_read_returns_the_present_content_of_any_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut file = KeptFile::new(path.clone());
        assert_eq!(file.text(), None);
        for text in ["a few words", &"much ".repeat(3_000), "less", ""] {
            fs::write(&path, text).unwrap();
            assert_eq!(file.text(), Some(text));
        }
    }
}
