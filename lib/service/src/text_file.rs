//! Text files as editors of all systems write them.

use std::{fs, io, path::Path};

/// The text of a file, without a byte order mark; what Windows writes as UTF-16 is read, too.
///
/// # Errors
///
/// When it cannot be read, or is no text.
pub fn read(path: &Path) -> io::Result<String> {
    decoded(fs::read(path)?)
}

fn decoded(bytes: Vec<u8>) -> io::Result<String> {
    let no_text = || io::Error::new(io::ErrorKind::InvalidData, "it is not a text file (UTF-8)");
    let wide = |unit: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| no_text())
    };
    match bytes.as_slice() {
        [0xff, 0xfe, text @ ..] => wide(u16::from_le_bytes, text),
        [0xfe, 0xff, text @ ..] => wide(u16::from_be_bytes, text),
        [0xef, 0xbb, 0xbf, text @ ..] => String::from_utf8(text.to_vec()).map_err(|_| no_text()),
        _ => String::from_utf8(bytes).map_err(|_| no_text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_editors_text_is_read() {
        let text = "SU…\r\n";
        let wide = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [&[0xff, 0xfe][..], &wide(u16::to_le_bytes)].concat(),
            [&[0xfe, 0xff][..], &wide(u16::to_be_bytes)].concat(),
        ] {
            assert_eq!(decoded(bytes).unwrap(), text);
        }
        decoded(vec![b'S', 0xff]).unwrap_err();
    }
}
