//! A node's id: one legal subject token.

use std::{borrow::Borrow, fmt};

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// What identifies a node: a short text, encoded as one NATS subject token.
///
/// `[a-z0-9_-]` stand for themselves; any other byte is `=HH` in upper-case hex; 1 to 128 bytes in all.
/// `web-01.example.com` is `web-01=2Eexample=2Ecom`. There is exactly one encoding of a text. Which text it
/// is follows from the node's name, see [`NodeName`](crate::NodeName).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(CompactString);

/// Why a text is not a node's name or id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeIdError {
    /// Nothing is in the name.
    #[error("a node's name must not be empty")]
    Empty,
    /// The name is longer than [`TEXT_BYTES`](crate::bounds::TEXT_BYTES).
    #[error("a node's name must be at most 255 bytes, this is {0}")]
    NameTooLong(usize),
    /// The token is longer than [`NodeId::MAX_LEN`].
    #[error("a node's id must be at most 128 bytes when encoded, this is {0}")]
    TooLong(usize),
    /// The token is not the encoding of any text.
    #[error("not an encoded node id: [a-z0-9_-] and =HH only")]
    NotCanonical,
}

impl NodeId {
    /// The longest token, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Encodes exactly this text, as [`NodeId::text`] returns it.
    ///
    /// # Errors
    ///
    /// When it is empty, too long once encoded, or has capital ASCII letters.
    pub fn from_text(text: &str) -> Result<Self, NodeIdError> {
        let mut token = String::with_capacity(text.len());
        for byte in text.bytes() {
            if byte.is_ascii_uppercase() {
                return Err(NodeIdError::NotCanonical);
            } else if is_plain(byte) {
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
    /// When [`NodeId::from_text`] would never return this token.
    pub fn from_token(token: &str) -> Result<Self, NodeIdError> {
        check_length(token)?;
        // Most names contain nothing that must be encoded, and this runs once for each message.
        if !token.bytes().all(is_plain) {
            decode(token).ok_or(NodeIdError::NotCanonical)?;
        }
        Ok(Self(token.into()))
    }

    /// The ids that a node of this name may have. What an answer says comes before what somebody typed.
    pub fn possible(name: &str) -> Vec<Self> {
        let mut ids = Vec::new();
        for id in [Self::from_text(name), Self::from_token(name), Self::from_name(name)].into_iter().flatten()
        {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// The encoded text: a legal subject token.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text: the node's name in lower case, or a short form of a long one. How the node is called is
    /// another thing, and its hello tells it.
    pub fn text(&self) -> String {
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

/// The text that `token` encodes; `None` when it is not the one encoding of a text.
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
    fn texts_become_one_legal_token() {
        let check = |text: &str, token: &str| {
            let id = NodeId::from_text(text).unwrap();
            assert_eq!((id.as_str(), &*id.text()), (token, text));
            assert_eq!(NodeId::from_token(token), Ok(id));
        };
        check("web-01.example.com", "web-01=2Eexample=2Ecom");
        check("web_01", "web_01");
        check("a b*>", "a=20b=2A=3E");
        check("zürich", "z=C3=BCrich");
        check("zÜrich", "z=C3=9Crich");
        check("=", "=3D");
    }

    #[test]
    fn tokens_that_encode_no_text_are_refused() {
        for token in ["A", "a.b", "a=2e", "a=61", "a=4", "a=41", "a=ZZ", "=FF", "a b", "ü"] {
            assert_eq!(NodeId::from_token(token), Err(NodeIdError::NotCanonical), "{token}");
        }
        assert_eq!(NodeId::from_token(""), Err(NodeIdError::Empty));
        assert_eq!(NodeId::from_text("Web"), Err(NodeIdError::NotCanonical));
        assert_eq!(NodeId::from_text(&"é".repeat(22)), Err(NodeIdError::TooLong(132)));
    }

    proptest! {
        #[test]
        fn every_text_can_be_read_back(text in "\\PC{1,20}") {
            if let Ok(id) = NodeId::from_text(&text) {
                prop_assert_eq!(id.text(), text);
                prop_assert_eq!(NodeId::from_token(id.as_str()), Ok(id));
            }
        }

        #[test]
        fn every_accepted_token_is_the_encoding_of_its_text(token in "[a-z=0-9A-F._-]{1,12}") {
            if let Ok(id) = NodeId::from_token(&token) {
                prop_assert_eq!(NodeId::from_text(&id.text()), Ok(id));
            }
        }
    }
}
