//! What proxies make of a request's path.

use warp::http::{Request, Uri, uri::PathAndQuery};

/// Leaves one slash at the beginning of the path: behind `location /tidemap { proxy_pass http://api/; }` of
/// nginx the page `/tidemap/` is requested as `//`.
pub(super) fn trim_slashes<B>(request: &mut Request<B>) {
    let Some(target) = request.uri().path_and_query().filter(|target| target.as_str().starts_with("//"))
    else {
        return;
    };
    let trimmed = format!("/{}", target.as_str().trim_start_matches('/'));
    // What is left of a valid target is one, too.
    if let Ok(target) = trimmed.parse::<PathAndQuery>() {
        *request.uri_mut() = Uri::from(target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slashes_at_the_beginning_are_trimmed() {
        for (asked, taken) in [
            ("//", "/"),
            ("///api/stats?by=//x", "/api/stats?by=//x"),
            ("/api//stats", "/api//stats"),
            ("/?//", "/?//"),
        ] {
            let mut request = Request::builder().uri(asked).body(()).unwrap();
            trim_slashes(&mut request);
            assert_eq!(request.uri(), taken, "{asked}");
        }
    }
}
