//! JSON as bytes.

use serde::Serialize;

/// Writes one of our own messages.
pub(crate) fn encode(message: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(&mut bytes, message);
    bytes
}

/// The same, at the end of what is there.
pub(crate) fn append(bytes: &mut Vec<u8>, message: &impl Serialize) {
    if let Err(error) = serde_json::to_writer(bytes, message) {
        // Writing to memory cannot fail, and every map of ours has strings for keys.
        unreachable!("a message could not be written: {error}");
    }
}
