//! A NATS token (version 2): claims in JSON, signed by an nkey.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use nkeys::KeyPair;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha512_256};

use super::JwtError;

const HEADER: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;

/// A token's claims.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// The subject: a public key.
    pub(super) sub: String,
    /// The subject's display name.
    pub(super) name: String,
    /// The claims that are specific to NATS.
    pub(super) nats: Map<String, Value>,
    /// The issuer: a public key.
    #[serde(default)]
    pub(super) iss: String,
    /// When it was issued, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<i64>,
    /// A digest of all other fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) jti: Option<String>,
}

impl Claims {
    /// Claims of this kind about the public key `sub`.
    pub(super) fn new(kind: &str, sub: &str, name: &str, mut nats: Map<String, Value>) -> Self {
        nats.insert("type".to_owned(), kind.into());
        nats.insert("version".to_owned(), 2.into());
        Self { sub: sub.to_owned(), name: name.to_owned(), nats, ..Self::default() }
    }

    /// The same claims with this issue time.
    pub(super) fn at(self, now_s: i64) -> Self {
        Self { iat: Some(now_s), ..self }
    }

    /// Whether signing `claims` would only repeat these.
    pub(super) fn is_same_as(&self, claims: &Self, issuer: &KeyPair) -> bool {
        let same = (&self.sub, &self.name, &self.nats) == (&claims.sub, &claims.name, &claims.nats);
        same && self.iss == issuer.public_key()
    }
}

/// A token with these claims.
pub(super) fn sign(claims: Claims, issuer: &KeyPair) -> Result<String, JwtError> {
    let unsigned = |error: &dyn std::fmt::Display| JwtError::Unsigned(error.to_string());
    let claims = Claims { iss: issuer.public_key(), jti: None, ..claims };
    let digest = Sha512_256::digest(serde_json::to_vec(&claims).map_err(|error| unsigned(&error))?);
    let claims = Claims { jti: Some(BASE32_NOPAD.encode(&digest)), ..claims };
    let body = serde_json::to_vec(&claims).map_err(|error| unsigned(&error))?;
    let text = format!("{}.{}", BASE64URL_NOPAD.encode(HEADER.as_bytes()), BASE64URL_NOPAD.encode(&body));
    let signature = issuer.sign(text.as_bytes()).map_err(|error| unsigned(&error))?;
    Ok(format!("{text}.{}", BASE64URL_NOPAD.encode(&signature)))
}

/// The claims of a token made here. The signature is not checked; brokers check it.
pub(super) fn claims(token: &str) -> Option<Claims> {
    let body = token.trim().split('.').nth(1)?;
    serde_json::from_slice(&BASE64URL_NOPAD.decode(body.as_bytes()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_signed_by_its_issuer_over_header_and_claims() {
        let issuer = KeyPair::new_account();
        let nats = Map::from_iter([("tags".to_owned(), vec!["slot:44"].into())]);
        let token = sign(Claims::new("user", "U", "a", nats).at(1_700_000_000), &issuer).unwrap();
        let (text, signature) = token.rsplit_once('.').unwrap();
        issuer.verify(text.as_bytes(), &BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap()).unwrap();
        let read = claims(&token).unwrap();
        assert_eq!(
            (read.iss, read.iat, read.nats["type"].as_str()),
            (issuer.public_key(), Some(1_700_000_000), Some("user"))
        );
        assert_eq!(read.jti.unwrap().len(), 52, "256 bits in base 32");
    }
}
