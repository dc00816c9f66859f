//! Invites: one short word lets nodes join. The word is an id and a secret; the node and the enroller prove
//! to each other that they know the secret, and never send it.

use data_encoding::{BASE32_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use nkeys::KeyPair;
use ring::{digest, hmac, rand::SystemRandom};

/// Letters of a word, and of the id that it begins with. Base 32: 40 bits of an id, 120 of a secret.
const LETTERS: usize = 32;
const ID_LETTERS: usize = 8;

/// What the two sides prove, so that no proof of one kind passes for one of another.
const KEY: &[u8] = b"tidemap invite";
const ASK: &[u8] = b"tidemap join ask";
const GRANT: &[u8] = b"tidemap join grant";
const OWN: &[u8] = b"tidemap join own";

/// An invite, as whoever holds its word knows it.
#[derive(Clone, Debug)]
pub struct Invite {
    word: String,
}

/// What is needed to check proofs of an invite, and to give them. It does not contain the word.
#[derive(Clone, Debug)]
pub struct InviteKey {
    id: String,
    bytes: Vec<u8>,
}

/// A text that is no invite.
#[derive(Debug, thiserror::Error)]
#[error("an invite is a word of {LETTERS} letters, as `tidemap invite` prints it")]
pub struct NotAnInvite;

impl Invite {
    /// A new one; `None` when the system has no random numbers.
    pub fn random() -> Option<Self> {
        let bytes = ring::rand::generate::<[u8; LETTERS * 5 / 8]>(&SystemRandom::new()).ok()?.expose();
        Some(Self { word: BASE32_NOPAD.encode(&bytes).to_ascii_lowercase() })
    }

    /// Reads a word, as somebody typed or copied it.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, NotAnInvite> {
        let word = text.trim().to_ascii_lowercase();
        let fits = word.len() == LETTERS && BASE32_NOPAD.decode(word.to_ascii_uppercase().as_bytes()).is_ok();
        if fits { Ok(Self { word }) } else { Err(NotAnInvite) }
    }

    /// The word, which is a secret.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// The part of it that is none.
    pub fn id(&self) -> &str {
        &self.word[..ID_LETTERS]
    }

    /// What checks its proofs.
    pub fn key(&self) -> InviteKey {
        let whole = [KEY, self.word.as_bytes()].concat();
        let bytes = digest::digest(&digest::SHA256, &whole).as_ref().to_vec();
        InviteKey { id: self.id().to_owned(), bytes }
    }
}

impl InviteKey {
    /// The key of the invite with this id, from [`InviteKey::text`].
    pub fn from_text(id: &str, text: &str) -> Option<Self> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().filter(|bytes| bytes.len() == 32)?;
        Some(Self { id: id.to_owned(), bytes })
    }

    /// As it is kept. Whoever has it can join as whoever has the word.
    pub fn text(&self) -> String {
        HEXLOWER.encode(&self.bytes)
    }

    /// That somebody who knows the invite asks this.
    pub fn prove_ask(&self, ask: &str) -> String {
        self.prove(&[ASK, self.id.as_bytes(), ask.as_bytes()])
    }

    /// Whether that is proved.
    pub fn is_asked(&self, ask: &str, proof: &str) -> bool {
        self.is_proved(&[ASK, self.id.as_bytes(), ask.as_bytes()], proof)
    }

    /// That whoever asks this has the key: otherwise somebody could ask for another's, and when that is
    /// revoked, it is the other who is cut off. `None` for a key without its seed.
    pub fn sign_ask(&self, key: &KeyPair, ask: &str) -> Option<String> {
        let signature = key.sign(&joined(&[OWN, self.id.as_bytes(), ask.as_bytes()])).ok()?;
        Some(HEXLOWER.encode(&signature))
    }

    /// Whether whoever asks has the key with this public half.
    pub fn is_signed(&self, key: &KeyPair, ask: &str, signature: &str) -> bool {
        let signed = joined(&[OWN, self.id.as_bytes(), ask.as_bytes()]);
        let signature = HEXLOWER.decode(signature.as_bytes());
        signature.is_ok_and(|signature| key.verify(&signed, &signature).is_ok())
    }

    /// That somebody who knows the invite grants this to whoever asked with the proof `ask_proof`.
    pub fn prove_grant(&self, ask_proof: &str, grant: &str) -> String {
        self.prove(&[GRANT, ask_proof.as_bytes(), grant.as_bytes()])
    }

    /// Whether that is proved.
    pub fn is_granted(&self, ask_proof: &str, grant: &str, proof: &str) -> bool {
        self.is_proved(&[GRANT, ask_proof.as_bytes(), grant.as_bytes()], proof)
    }

    fn prove(&self, parts: &[&[u8]]) -> String {
        HEXLOWER.encode(hmac::sign(&self.hmac(), &joined(parts)).as_ref())
    }

    fn is_proved(&self, parts: &[&[u8]], proof: &str) -> bool {
        let proof = HEXLOWER.decode(proof.as_bytes());
        proof.is_ok_and(|proof| hmac::verify(&self.hmac(), &joined(parts), &proof).is_ok())
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.bytes)
    }
}

/// The parts, each with its length, so that no two lists of parts are the same bytes.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let part = |part: &&[u8]| [&(part.len() as u64).to_le_bytes()[..], part].concat();
    parts.iter().flat_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_back_however_it_is_copied() {
        let invite = Invite::random().unwrap();
        assert_eq!((invite.word().len(), invite.id().len()), (32, 8));
        for copied in [invite.word().to_owned(), format!(" {}\r\n", invite.word().to_ascii_uppercase())] {
            assert_eq!(Invite::parse(&copied).unwrap().word(), invite.word());
        }
        for wrong in ["", "abc", &invite.word()[1..], &format!("{}a", invite.word()), &"1".repeat(32)] {
            assert!(Invite::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Invite::parse(&"é".repeat(16)).is_err());
        assert_ne!(Invite::random().unwrap().word(), invite.word());
    }

    #[test]
    fn a_proof_holds_for_one_text_of_one_invite_and_one_side() {
        let (one, other) = (Invite::random().unwrap().key(), Invite::random().unwrap().key());
        let kept = InviteKey::from_text(&one.id, &one.text()).unwrap();
        let proof = one.prove_ask("ask");
        assert!(kept.is_asked("ask", &proof));
        assert!(!kept.is_asked("ask ", &proof) && !other.is_asked("ask", &proof));
        assert!(
            !kept.is_asked("ask", "") && !kept.is_asked("ask", &proof[2..]) && !kept.is_asked("ask", "é")
        );
        let granted = kept.prove_grant(&proof, "grant");
        assert!(one.is_granted(&proof, "grant", &granted));
        for (asked, grant) in [(&*proof, "other"), (&*granted, "grant"), ("", "grant")] {
            assert!(!one.is_granted(asked, grant, &granted), "{asked} {grant}");
        }
        assert!(!one.is_granted(&proof, "grant", &one.prove_ask("grant")));
        assert!(InviteKey::from_text("a", "00").is_none() && InviteKey::from_text("a", "x").is_none());
    }

    #[test]
    fn a_signature_is_one_keys_for_one_text_of_one_invite() {
        let (one, other) = (Invite::random().unwrap().key(), Invite::random().unwrap().key());
        let (key, stranger) = (KeyPair::new_user(), KeyPair::new_user());
        let public = KeyPair::from_public_key(&key.public_key()).unwrap();
        let signature = one.sign_ask(&key, "ask").unwrap();
        assert!(one.is_signed(&public, "ask", &signature));
        assert!(!one.is_signed(&public, "ask ", &signature) && !other.is_signed(&public, "ask", &signature));
        assert!(!one.is_signed(&stranger, "ask", &signature));
        for wrong in ["", "é", &signature[2..], &one.sign_ask(&stranger, "ask").unwrap()] {
            assert!(!one.is_signed(&public, "ask", wrong), "{wrong}");
        }
        assert_eq!(one.sign_ask(&public, "ask"), None);
    }

    #[test]
    fn the_key_does_not_contain_the_word() {
        let invite = Invite::random().unwrap();
        assert!(!invite.key().text().contains(&invite.word()[ID_LETTERS..]));
    }
}
