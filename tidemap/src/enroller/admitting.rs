//! Which requests are granted. Reads and writes the folder, and waits for nobody.

use tidemap_broker::{
    invites::{self, Asked, Invites, Joined, KnownInvites, NotAdmitted},
    keys::Admission,
};
use tidemap_service::{causes::causes, invite::InviteKey};
use tidemap_wire::{JoinAnswer, JoinGrant, JoinRefusal, JoinReply, JoinRequest, NodeName};

use super::registry::{Admitted, Registry};

/// What has become of some requests.
#[derive(Default)]
pub(super) struct Outcome {
    /// One for each request, in their order.
    pub(super) replies: Vec<JoinReply>,
    /// Whether brokers do not know everything yet.
    pub(super) has_news: bool,
    /// What an operator may want to know.
    pub(super) log: Vec<String>,
}

/// A request whose use is counted.
struct Counted {
    name: NodeName,
    key: String,
    invite: String,
    secret: InviteKey,
    replaces: bool,
    grant: JoinGrant,
    /// Whether it was counted before, and answered.
    repeats: bool,
}

/// Where nodes reach the broker unless an invite says otherwise, and the authority of its certificate.
type Endpoint = anyhow::Result<(String, Option<String>)>;

/// Admits those who may join, and remembers them. Their uses are written down first: so a key is never
/// admitted that no invite counts, wherever this is stopped.
pub(super) fn admit_all(
    registry: &Registry,
    known: &mut KnownInvites,
    requests: &[JoinRequest],
    now_ms: i64,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let known = known.now(registry.folder())?;
    let refused: Vec<Option<NotAdmitted>> = requests.iter().map(|request| known.refuses(request)).collect();
    if refused.iter().all(Option::is_some) {
        outcome.replies = refused.into_iter().flatten().map(refusal).collect();
        return Ok(outcome);
    }
    let endpoint = registry.endpoint();
    let mut open = invites::open(registry.folder())?;
    let mut count = |(request, refused): (&JoinRequest, Option<NotAdmitted>)| match refused {
        Some(why) => Err(why),
        None => count(registry, &mut open.invites, request, &endpoint, now_ms),
    };
    let counted: Vec<Result<Counted, NotAdmitted>> = requests.iter().zip(refused).map(&mut count).collect();
    open.save()?;
    for (request, counted) in requests.iter().zip(counted) {
        let admitted = counted.and_then(|counted| {
            let admission = admit(registry, &counted, request, now_ms, &mut outcome);
            settle(&mut open.invites, request, &counted, &admission);
            admission
        });
        outcome.replies.push(admitted.map_or_else(refusal, JoinReply::Granted));
    }
    open.save()?;
    Ok(outcome)
}

fn refusal((reason, detail): NotAdmitted) -> JoinReply {
    JoinReply::Refused { reason, detail }
}

/// Counts a use, if the invite admits this node.
fn count(
    registry: &Registry,
    invites: &mut Invites,
    request: &JoinRequest,
    endpoint: &Endpoint,
    now_ms: i64,
) -> Result<Counted, NotAdmitted> {
    let Asked { invite, secret, name, key } = invites.asked(request)?;
    let node = name.id();
    let over = |why: &str| (JoinRefusal::Over, format!("the invite {} {why}", invite.id));
    if invite.revoked {
        return Err(over("is revoked"));
    }
    let (ended, terms) = (invite.over(now_ms).map(over), invite.terms.clone());
    let (url, authority) = match (terms.url, endpoint) {
        (Some(url), _) => (url, terms.authority),
        (None, Ok(known)) => known.clone(),
        (None, Err(error)) => return Err(failed(error)),
    };
    // Somebody who asks again, such as one whose answer was lost, takes no use, and needs none to be left.
    let mut repeats = false;
    match invite.joined(node.as_str(), &key) {
        Some(joined) if joined.pending => {}
        Some(_) if registry.is_admitted(node, &key).map_err(|error| failed(&error))? => repeats = true,
        Some(_) => {
            let detail = format!("{} has joined with this key and was revoked since", name.display());
            return Err((JoinRefusal::Taken, detail));
        }
        None => {
            if let Some(ended) = ended {
                return Err(ended);
            }
            let (name, node) = (name.display().to_owned(), node.to_string());
            invite.joined.push(Joined { name, node, key: key.clone(), at_ms: now_ms, pending: true });
        }
    }
    let grant = JoinGrant { url, authority, labels: terms.labels, token: None };
    Ok(Counted { name, key, invite: invite.id.clone(), secret, replaces: terms.rejoin, grant, repeats })
}

/// Admits the key.
fn admit(
    registry: &Registry,
    counted: &Counted,
    request: &JoinRequest,
    now_ms: i64,
    outcome: &mut Outcome,
) -> Result<JoinAnswer, NotAdmitted> {
    let Counted { name, key, invite, replaces, .. } = counted;
    let admitted = registry.admit(name.id(), key, invite, *replaces, now_ms);
    let Admitted { admission, token } = admitted.map_err(|error| failed(&error))?;
    match admission {
        Admission::NodeTaken => return Err((JoinRefusal::Taken, taken(name.display()))),
        Admission::KeyTaken => {
            return Err((JoinRefusal::Taken, "this key is enrolled under another name".to_owned()));
        }
        Admission::Replaced => outcome.has_news = true,
        Admission::New => outcome.has_news |= !registry.signs(),
        Admission::Known => {}
    }
    if !counted.repeats {
        let replaced = if admission == Admission::Replaced { ", in place of another key" } else { "" };
        outcome.log.push(format!("{} has joined by the invite {invite}{replaced}", name.display()));
    }
    let grant = JoinGrant { token, ..counted.grant.clone() };
    let grant = serde_json::to_string(&grant).map_err(|error| failed(&error.into()))?;
    let proof = counted.secret.prove_grant(&request.proof, &grant);
    Ok(JoinAnswer { grant, proof })
}

/// Keeps the use of a node that is admitted, or may be, and takes it back from one that is refused.
fn settle(
    invites: &mut Invites,
    request: &JoinRequest,
    counted: &Counted,
    admission: &Result<JoinAnswer, NotAdmitted>,
) {
    let Ok(Asked { invite, .. }) = invites.asked(request) else { return };
    let (node, key) = (counted.name.id().as_str(), &*counted.key);
    match admission {
        Ok(_) => {
            if let Some(joined) = invite.joined(node, key) {
                joined.pending = false;
            }
        }
        Err((JoinRefusal::Failed, _)) => {}
        Err(_) => invite.uncount(node, key),
    }
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

#[cfg(test)]
mod tests;
