//! A node's name, encoded as one legal subject token.

use std::{borrow::Borrow, fmt};

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The name of a node, encoded as one NATS subject token.
///
/// Lower-case; `[a-z0-9_-]` stand for themselves; any other byte is `=HH` in upper-case hex; 1 to 128 bytes
/// in all. `web-01.example.com` is `web-01=2Eexample=2Ecom`. There is exactly one encoding of a name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(CompactString);

/// Why a text is not a node's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeIdError {
    /// The name is empty.
    #[error("a node's name must not be empty")]
    Empty,
    /// The encoded name is longer than [`NodeId::MAX_LEN`].
    #[error("a node's name must be at most 128 bytes when encoded, this is {0}")]
    TooLong(usize),
    /// The token is not the encoding of any name.
    #[error("not an encoded node name: [a-z0-9_-] and =HH only")]
    NotCanonical,
}

impl NodeId {
    /// The longest encoded name, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Encodes a display name, such as a host name.
    ///
    /// # Errors
    ///
    /// When it is empty or too long once encoded.
    pub fn from_name(name: &str) -> Result<Self, NodeIdError> {
        let mut token = String::with_capacity(name.len());
        for byte in name.bytes().map(|byte| byte.to_ascii_lowercase()) {
            if is_plain(byte) {
                token.push(char::from(byte));
            } else {
                token.push_str(&format!("={byte:02X}"));
            }
        }
        check_length(&token)?;
        Ok(Self(token.into()))
    }

    /// Takes a token that is already encoded.
    ///
    /// # Errors
    ///
    /// When [`NodeId::from_name`] would never return this token.
    pub fn from_token(token: &str) -> Result<Self, NodeIdError> {
        check_length(token)?;
        // Most names contain nothing that must be encoded, and this runs once for each message.
        if !token.bytes().all(is_plain) {
            decode(token).ok_or(NodeIdError::NotCanonical)?;
        }
        Ok(Self(token.into()))
    }

    /// The encoded name: a legal subject token.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as people read it.
    pub fn display_name(&self) -> String {
        decode(&self.0).unwrap_or_else(|| self.0.to_string())
    }
}

/// A byte that stands for itself in a token.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')
}

fn check_length(token: &str) -> Result<(), NodeIdError> {
    match token.len() {
        0 => Err(NodeIdError::Empty),
        len if len > NodeId::MAX_LEN => Err(NodeIdError::TooLong(len)),
        _ => Ok(()),
    }
}

/// The name that `token` encodes; `None` when it is not the one encoding of a name.
fn decode(token: &str) -> Option<String> {
    let mut name = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if is_plain(byte) {
            name.push(byte);
            continue;
        }
        let (high, low) = (tail.first()?, tail.get(1)?);
        let value = (hex(*high)? << 4) | hex(*low)?;
        if byte != b'=' || is_plain(value) || value.is_ascii_uppercase() {
            return None;
        }
        name.push(value);
        rest = &tail[2..];
    }
    String::from_utf8(name).ok()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Lets a map be searched by a token that has not been checked yet.
impl Borrow<str> for NodeId {
    #[inline]
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({})", self.0)
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let token = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_token(&token).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_become_one_legal_token() {
        let check = |name: &str, token: &str| {
            let id = NodeId::from_name(name).unwrap();
            assert_eq!(id.as_str(), token);
            assert_eq!(NodeId::from_token(token), Ok(id));
        };
        check("web-01.example.com", "web-01=2Eexample=2Ecom");
        check("Web_01", "web_01");
        check("a b*>", "a=20b=2A=3E");
        check("zürich", "z=C3=BCrich");
        check("=", "=3D");
    }

    #[test]
    fn tokens_that_encode_no_name_are_refused() {
        for token in ["A", "a.b", "a=2e", "a=61", "a=4", "a=41", "a=ZZ", "=FF", "a b", "ü"] {
            assert_eq!(NodeId::from_token(token), Err(NodeIdError::NotCanonical), "{token}");
        }
        assert_eq!(NodeId::from_token(""), Err(NodeIdError::Empty));
        assert_eq!(NodeId::from_name(&"é".repeat(22)), Err(NodeIdError::TooLong(132)));
    }

    proptest! {
        #[test]
        fn every_name_can_be_read_back(name in "\\PC{1,20}") {
            if let Ok(id) = NodeId::from_name(&name) {
                prop_assert_eq!(id.display_name(), name.to_ascii_lowercase());
                prop_assert_eq!(NodeId::from_token(id.as_str()), Ok(id));
            }
        }

        #[test]
        fn every_accepted_token_is_the_encoding_of_its_name(token in "[a-z=0-9A-F._-]{1,12}") {
            if let Ok(id) = NodeId::from_token(&token) {
                prop_assert_eq!(NodeId::from_name(&id.display_name()), Ok(id));
            }
        }
    }
}
