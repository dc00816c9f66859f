//! A node joins with an invite: the body of `POST /api/enroll`, which an api passes on as a request on
//! `tidemap.v1.rpc.enroll`, and the enroller's reply.
//!
//! What is asked and what is granted are texts (JSON), each with a proof over its bytes by the invite's
//! secret. So whoever carries them, such as an api or a proxy, can neither read the secret nor change them,
//! and a later version may add fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A node's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Which invite.
    pub invite: String,
    /// A [`JoinAsk`] as JSON.
    pub ask: String,
    /// That whoever asks knows the invite's secret.
    pub proof: String,
    /// That whoever asks has the key: its signature.
    pub signature: String,
}

/// What a node asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinAsk {
    /// Its name, as somebody typed it.
    pub name: String,
    /// Its public key: an nkey of a user.
    pub key: String,
}

/// The enroller's reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinReply {
    /// The node is admitted.
    Granted(JoinAnswer),
    /// It is not.
    Refused {
        /// What kind of reason there is.
        reason: JoinRefusal,
        /// The reason, for people.
        detail: String,
    },
}

/// What a node that is admitted receives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinAnswer {
    /// A [`JoinGrant`] as JSON.
    pub grant: String,
    /// That whoever grants knows the invite's secret, and what was asked.
    pub proof: String,
}

/// How a node that is admitted reaches the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinGrant {
    /// The broker's address; several are separated by commas.
    pub url: String,
    /// The authority of the broker's certificate (PEM), when it is not a public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// What the invite says about its nodes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What the operator has signed for the node's key, where brokers trust signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Why a node is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinRefusal {
    /// There is no such invite, or whoever asks does not know its secret.
    Unknown,
    /// The invite has expired, is used up, or was revoked.
    Over,
    /// The name belongs to another key, or the key to another name.
    Taken,
    /// The name or the key is none.
    Unfit,
    /// The node could not be admitted at the moment.
    Failed,
}
