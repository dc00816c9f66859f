//! HTML without the white space that is for its readers: at compile time, so that the page carries none of
//! it.

/// The length of what [`condensed`] leaves.
pub(super) const fn len(source: &str) -> usize {
    let bytes = source.as_bytes();
    let (mut at, mut len) = (0, 0);
    while at < bytes.len() {
        let next = after_break(bytes, at);
        if next == at {
            len += 1;
            at += 1;
        } else {
            at = next;
        }
    }
    len
}

/// The source without its line breaks and the spaces after them.
pub(super) const fn condensed<const LEN: usize>(source: &str) -> [u8; LEN] {
    let bytes = source.as_bytes();
    let mut kept = [0; LEN];
    let (mut at, mut len) = (0, 0);
    while at < bytes.len() {
        let next = after_break(bytes, at);
        if next == at {
            kept[len] = bytes[at];
            len += 1;
            at += 1;
        } else {
            at = next;
        }
    }
    kept
}

/// The position after a line break at `at` and its indentation; `at` itself if there is no line break.
const fn after_break(bytes: &[u8], at: usize) -> usize {
    let mut next = at;
    if bytes[at] == b'\n' {
        next += 1;
        while next < bytes.len() && bytes[next] == b' ' {
            next += 1;
        }
    }
    next
}
