//! A node's name as people type it, and the id that follows from it.

mod cleaning;

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use self::cleaning::cleaned;
use crate::{NodeId, NodeIdError, bounds};

/// Bytes of a hashed id's readable beginning.
const STEM_BYTES: usize = 32;
/// Bytes of the digest in a hashed id: by chance, two of 10⁹ names share one with a probability of 10⁻¹¹.
const DIGEST_BYTES: usize = 12;

/// The name that somebody gave a node.
///
/// It is shown as typed: composed (NFC), without the blanks and quotes around it, with plain blanks for all
/// others, and without what nobody sees, such as a byte order mark or the carriage return of a file from
/// Windows. So two names that look the same are the same, and have one id, which does not depend on
/// capitals either, in any script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    display: String,
    id: NodeId,
    earlier_id: Option<NodeId>,
}

impl NodeName {
    /// Reads a name, such as a host name or what an operator typed.
    ///
    /// # Errors
    ///
    /// When nothing visible is in it, or it is longer than [`bounds::TEXT_BYTES`].
    pub fn parse(text: &str) -> Result<Self, NodeIdError> {
        let display = cleaned(text);
        if display.is_empty() {
            return Err(NodeIdError::Empty);
        }
        if display.len() > bounds::TEXT_BYTES {
            return Err(NodeIdError::NameTooLong(display.len()));
        }
        let folded: String = display.to_lowercase().nfc().collect();
        let id = NodeId::from_text(&folded).or_else(|_| NodeId::from_text(&hashed(&folded)))?;
        let earlier_id = NodeId::from_text(&text.to_ascii_lowercase()).ok().filter(|earlier| *earlier != id);
        Ok(Self { display, id, earlier_id })
    }

    /// The name as it is shown.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// The id that follows from the name.
    pub fn id(&self) -> &NodeId {
        &self.id
    }

    /// The id that version 0.1 made of the text, if it was another one: it folded ASCII letters only, and
    /// kept what is now cleaned.
    pub fn earlier_id(&self) -> Option<&NodeId> {
        self.earlier_id.as_ref()
    }
}

impl NodeId {
    /// The id of the node with this name, as [`NodeName::parse`] reads it.
    ///
    /// # Errors
    ///
    /// As [`NodeName::parse`].
    pub fn from_name(name: &str) -> Result<Self, NodeIdError> {
        NodeName::parse(name).map(|name| name.id().clone())
    }
}

/// A short text for a name whose encoding is too long: what is ASCII in it, and a digest of the whole.
fn hashed(folded: &str) -> String {
    let words = folded.split(|character: char| !character.is_ascii_alphanumeric());
    let mut text = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    text.truncate(STEM_BYTES);
    if !text.is_empty() {
        text.push('-');
    }
    for byte in &Sha256::digest(folded)[..DIGEST_BYTES] {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> String {
        NodeName::parse(text).unwrap().id().to_string()
    }

    fn display(text: &str) -> String {
        NodeName::parse(text).unwrap().display().to_owned()
    }

    #[test]
    fn a_name_is_shown_as_typed_and_known_by_its_id() {
        for (text, shown, token) in [
            ("Web-01", "Web-01", "web-01"),
            ("web-01.Example.com", "web-01.Example.com", "web-01=2Eexample=2Ecom"),
            ("web-01\r", "web-01", "web-01"),
            ("\u{feff}web-01\r\n", "web-01", "web-01"),
            (" a\tB\u{7}\u{202e} ", "a B", "a=20b"),
            ("\"Web-01\"\r", "Web-01", "web-01"),
            ("'a b'", "a b", "a=20b"),
            ("5\" disk", "5\" disk", "5=22=20disk"),
            ("Zu\u{308}rich", "Zürich", "z=C3=BCrich"),
            ("-dash", "-dash", "-dash"),
            ("..", "..", "=2E=2E"),
            ("a/b?c#d%e", "a/b?c#d%e", "a=2Fb=3Fc=23d=25e"),
        ] {
            assert_eq!((display(text), id(text)), (shown.to_owned(), token.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn however_a_name_is_capitalised_it_is_one_node() {
        for names in [
            &["ZÜRICH", "Zürich", "zürich", "ZU\u{308}RICH"][..],
            &["ΟΔΥΣΣΕΎΣ", "Οδυσσεύς", "οδυσσεύς"],
            &["МОСКВА-1", "Москва-1"],
            &["STRAẞE", "straße"],
        ] {
            assert!(names.iter().all(|name| id(name) == id(names[0])), "{names:?}");
        }
        for others in [["straße", "strasse"], ["kırmızı", "kirmizi"], ["zurich", "zürich"]] {
            assert_ne!(id(others[0]), id(others[1]), "two words in their language");
        }
    }

    #[test]
    fn a_long_name_has_a_short_id() {
        let name = "🇭🇰 香港 阿里云 轻量应用服务器 01";
        assert_eq!(display(name), name);
        assert_eq!(id(name), "01-72a0a4aed22e212dc7c1d896");
        assert_eq!(id(&"香港".repeat(20)).len(), 2 * DIGEST_BYTES);
        assert_ne!(id(&format!("{name}2")), id(name));
        assert_eq!(id(&format!("{name} X")), id(&format!("{name} x")));
        assert!(id(&"long.".repeat(51)).len() <= STEM_BYTES + 1 + 2 * DIGEST_BYTES);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for nothing in
            ["", " ", "\r\n", "\u{feff}", "\u{200b}\u{7}", "\u{3000}\u{a0}", "\u{200d}", "\u{3164}", "\"\""]
        {
            assert_eq!(NodeName::parse(nothing), Err(NodeIdError::Empty), "{nothing:?}");
        }
        assert_eq!(NodeName::parse(&"é".repeat(128)), Err(NodeIdError::NameTooLong(256)));
    }

    #[test]
    fn the_id_of_an_earlier_version_is_known_where_it_was_another() {
        let earlier = |text| NodeName::parse(text).unwrap().earlier_id().map(ToString::to_string);
        assert_eq!(earlier("ZÜRICH").as_deref(), Some("z=C3=9Crich"));
        assert_eq!(earlier("web-01\r").as_deref(), Some("web-01=0D"));
        assert_eq!(earlier("\"web-01\"").as_deref(), Some("=22web-01=22"));
        assert_eq!(earlier("web\u{a0}01").as_deref(), Some("web=C2=A001"));
        for same in ["Web-01", "Zürich", "web 01", "香港"] {
            assert_eq!(earlier(same), None, "{same}");
        }
        assert_eq!(earlier(&"香港".repeat(20)), None, "it was refused");
    }

    proptest! {
        /// An agent that is installed keeps its id.
        #[test]
        fn names_of_small_letters_are_encoded_as_ever(name in "[a-z0-9ß-öø-ÿа-я香港._/@ -]{1,20}") {
            prop_assume!(name.trim() == name);
            let parsed = NodeName::parse(&name).unwrap();
            prop_assert_eq!((Ok(parsed.id().clone()), parsed.earlier_id()), (NodeId::from_text(&name), None));
        }

        #[test]
        fn every_text_has_a_legal_id_that_cleaning_does_not_change(text in any::<String>()) {
            if let Ok(name) = NodeName::parse(&text) {
                let read_back = NodeId::from_token(name.id().as_str());
                prop_assert_eq!(read_back.as_ref(), Ok(name.id()));
                let again = NodeName::parse(name.display()).unwrap();
                prop_assert_eq!((again.display(), again.id()), (name.display(), name.id()));
            }
        }
    }
}
