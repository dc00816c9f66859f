//! Who may read, and who may administer.

use headers::{
    Authorization, HeaderMapExt,
    authorization::{Basic, Bearer},
};
use warp::http::HeaderMap;

use crate::{config::Access, http::errors::ApiError};

/// Our own header for a token, where `Authorization` is another's, such as a proxy's that asks for a
/// password.
const TOKEN_HEADER: &str = "x-tidemap-token";

/// A browser answers this by asking for a user name and a password; the token is the password. It then sends
/// it with the event stream, too, to which a page cannot add headers.
const READ_CHALLENGE: &str = "Basic realm=\"Tidemap\", charset=\"UTF-8\"";
/// Admin calls accept nothing that a browser sends by itself, so no other page can make one in a reader's
/// name.
const ADMIN_CHALLENGE: &str = "Bearer realm=\"Tidemap\"";

/// Reading needs no token on loopback and with `--public`, and needs one otherwise: the reader's or the
/// admin's.
pub(super) fn check_read(access: &Access, headers: &HeaderMap) -> Result<(), ApiError> {
    let may_read = |token: &str| access.tokens.may_read(token);
    let basic = || headers.typed_get::<Authorization<Basic>>();
    if !access.reads_need_token
        || presents(headers, may_read)
        || basic().is_some_and(|basic| may_read(basic.password()))
    {
        return Ok(());
    }
    Err(ApiError::Unauthorized {
        detail: "this needs a token: Authorization: Bearer TOKEN, X-Tidemap-Token: TOKEN, or the token as password",
        challenge: READ_CHALLENGE,
    })
}

/// Admin calls always need the admin's token.
pub(super) fn check_admin(access: &Access, headers: &HeaderMap) -> Result<(), ApiError> {
    let detail = match &access.tokens.admin {
        Some(_) if presents(headers, |token| access.tokens.is_admin(token)) => return Ok(()),
        Some(_) if presents(headers, |token| access.tokens.may_read(token)) => {
            "this needs the API token of the admin, and the token that was sent is a reader's"
        }
        Some(_) => "this needs the API token: Authorization: Bearer TOKEN, or X-Tidemap-Token: TOKEN",
        None => "this needs an API token, and none is configured (TIDEMAP_API_TOKEN)",
    };
    Err(ApiError::Unauthorized { detail, challenge: ADMIN_CHALLENGE })
}

/// Whether one of the two headers has such a token. No page can make a browser send either to another origin
/// unless the API allows that origin's pages to.
fn presents(headers: &HeaderMap, accepted: impl Fn(&str) -> bool) -> bool {
    let bearer = headers.typed_get::<Authorization<Bearer>>();
    let own = headers.get(TOKEN_HEADER).and_then(|value| value.to_str().ok());
    bearer.is_some_and(|bearer| accepted(bearer.token())) || own.is_some_and(accepted)
}
