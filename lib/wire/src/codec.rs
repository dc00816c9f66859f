//! MessagePack maps with named fields, the one encoding on the broker.

use serde::{Deserialize, Serialize};

/// A payload that is not the message it should be. The cause is in the message, so it is no `source`, which
/// `{:#}` would append.
#[derive(Debug, thiserror::Error)]
#[error("not a valid message: {0}")]
pub struct DecodeError(rmp_serde::decode::Error);

/// Encodes a message as a MessagePack map with named fields.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    if let Err(error) = message.serialize(&mut serializer) {
        // Writing to memory cannot fail, and no message of ours has a map of unknown length.
        unreachable!("a message could not be encoded: {error}");
    }
    bytes
}

/// Decodes a message; unknown fields are ignored.
///
/// # Errors
///
/// When the bytes are not MessagePack, a required field is missing, or a value breaks its type's rules.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    rmp_serde::from_slice(bytes).map_err(DecodeError)
}
