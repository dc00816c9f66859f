//! Which requests are granted. Reads and writes the folder, and waits for nobody.

use tidemap_broker::{
    invites::{self, Asked, Invites, Joined, NotAdmitted},
    keys::Admission,
};
use tidemap_service::causes::causes;
use tidemap_wire::{JoinAnswer, JoinGrant, JoinRefusal, JoinReply, JoinRequest};

use super::registry::{Admitted, Registry};

/// What has become of some requests.
#[derive(Default)]
pub(super) struct Outcome {
    /// One for each request, in their order.
    pub(super) replies: Vec<JoinReply>,
    /// Whether brokers do not know everything yet.
    pub(super) has_news: bool,
    /// Whether another key was revoked for one of the nodes.
    pub(super) has_revoked: bool,
    /// What an operator may want to know.
    pub(super) log: Vec<String>,
}

/// Admits those who may join, and remembers them.
pub(super) fn admit_all(
    registry: &Registry,
    requests: &[JoinRequest],
    now_ms: i64,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let endpoint = registry.endpoint();
    invites::update(registry.folder(), |invites| {
        for request in requests {
            let granted = grant(registry, invites, request, &endpoint, now_ms, &mut outcome);
            let reply = granted.unwrap_or_else(|(reason, detail)| JoinReply::Refused { reason, detail });
            outcome.replies.push(reply);
        }
    })?;
    Ok(outcome)
}

fn grant(
    registry: &Registry,
    invites: &mut Invites,
    request: &JoinRequest,
    endpoint: &anyhow::Result<(String, Option<String>)>,
    now_ms: i64,
    outcome: &mut Outcome,
) -> Result<JoinReply, NotAdmitted> {
    let Asked { invite, secret, name, key } = invites.asked(request)?;
    let (node, terms) = (name.id(), &invite.terms);
    let over = |why: &str| (JoinRefusal::Over, format!("the invite {} {why}", invite.id));
    if invite.revoked {
        return Err(over("is revoked"));
    }
    // Somebody who asks again, such as one whose answer was lost, takes no use, and needs none to be left.
    let repeats = invite.has_joined(node.as_str(), &key);
    if repeats && !registry.is_admitted(node, &key).map_err(|error| failed(&error))? {
        let detail = format!("{} has joined with this key and was revoked since", name.display());
        return Err((JoinRefusal::Taken, detail));
    }
    if !repeats && let Some(why) = invite.over(now_ms) {
        return Err(over(why));
    }
    let (url, authority) = match (&terms.url, endpoint) {
        (Some(url), _) => (url.clone(), terms.authority.clone()),
        (None, Ok(known)) => known.clone(),
        (None, Err(error)) => return Err(failed(error)),
    };
    let admitted =
        registry.admit(node, &key, &invite.id, terms.rejoin, now_ms).map_err(|error| failed(&error))?;
    let Admitted { admission, token } = admitted;
    match admission {
        Admission::NodeTaken => return Err((JoinRefusal::Taken, taken(name.display()))),
        Admission::KeyTaken => {
            return Err((JoinRefusal::Taken, "this key is enrolled under another name".to_owned()));
        }
        Admission::New | Admission::Replaced => {
            outcome.has_news = true;
            outcome.has_revoked |= admission == Admission::Replaced;
        }
        Admission::Known => {}
    }
    let grant = JoinGrant { url, authority, labels: terms.labels.clone(), token };
    let grant = serde_json::to_string(&grant).map_err(|error| failed(&error.into()))?;
    if !repeats {
        let replaced = if admission == Admission::Replaced { ", in place of another key" } else { "" };
        outcome.log.push(format!("{} has joined by the invite {}{replaced}", name.display(), invite.id));
        let (name, node) = (name.display().to_owned(), node.to_string());
        invite.joined.push(Joined { name, node, key, at_ms: now_ms });
    }
    let proof = secret.prove_grant(&request.proof, &grant);
    Ok(JoinReply::Granted(JoinAnswer { grant, proof }))
}

fn taken(name: &str) -> String {
    format!(
        "{name} is enrolled with another key: choose another name with --node, or have it revoked (`tidemap revoke`), or \
         take an invite that allows it (`tidemap invite --rejoin`)"
    )
}

fn failed(error: &anyhow::Error) -> NotAdmitted {
    tracing::error!("a node cannot join: {}", causes(error.as_ref()));
    let detail = "the enroller cannot admit nodes at the moment; its log says why".to_owned();
    (JoinRefusal::Failed, detail)
}
