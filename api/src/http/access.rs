//! Who may read, and who may administer.

use headers::{
    Authorization, HeaderMapExt,
    authorization::{Basic, Bearer},
};
use warp::http::HeaderMap;

use crate::{config::Access, http::errors::ApiError};

/// A browser answers this by asking for a user name and a password; the token is the password. It then sends
/// it with the event stream, too, to which a page cannot add headers.
const READ_CHALLENGE: &str = "Basic realm=\"Tidemap\", charset=\"UTF-8\"";
/// Admin calls accept nothing that a browser sends by itself, so no other page can make one in a reader's
/// name.
const ADMIN_CHALLENGE: &str = "Bearer realm=\"Tidemap\"";

/// Reading needs no token on loopback and with `--public`, and needs it otherwise.
pub(super) fn check_read(access: &Access, headers: &HeaderMap) -> Result<(), ApiError> {
    let basic = || headers.typed_get::<Authorization<Basic>>();
    if !access.reads_need_token
        || bears_token(access, headers)
        || basic().is_some_and(|basic| is_token(access, basic.password()))
    {
        return Ok(());
    }
    Err(ApiError::Unauthorized {
        detail: "this needs the API token: Authorization: Bearer TOKEN, or the token as password",
        challenge: READ_CHALLENGE,
    })
}

/// Admin calls always need the token.
pub(super) fn check_admin(access: &Access, headers: &HeaderMap) -> Result<(), ApiError> {
    let detail = match &access.token {
        Some(_) if bears_token(access, headers) => return Ok(()),
        Some(_) => "this needs the API token: Authorization: Bearer TOKEN",
        None => "this needs an API token, and none is configured (TIDEMAP_API_TOKEN)",
    };
    Err(ApiError::Unauthorized { detail, challenge: ADMIN_CHALLENGE })
}

fn bears_token(access: &Access, headers: &HeaderMap) -> bool {
    let bearer = headers.typed_get::<Authorization<Bearer>>();
    bearer.is_some_and(|bearer| is_token(access, bearer.token()))
}

fn is_token(access: &Access, presented: &str) -> bool {
    access.token.as_ref().is_some_and(|token| token.matches(presented))
}
