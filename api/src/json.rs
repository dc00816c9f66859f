//! JSON as bytes.

use serde::Serialize;

/// Encodes one of our own messages.
pub(crate) fn encode(message: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(&mut bytes, message);
    bytes
}

/// Encodes a message at the end of `bytes`.
pub(crate) fn append(bytes: &mut Vec<u8>, message: &impl Serialize) {
    if let Err(error) = serde_json::to_writer(bytes, message) {
        // Writing to memory cannot fail, and all maps have string keys.
        unreachable!("a message could not be written: {error}");
    }
}
