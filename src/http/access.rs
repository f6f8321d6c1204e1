//! Who is answered. Probes say no more than whether it works, to anybody. For everything else a caller has the token,
//! if there is one; if there is none, the name that was asked for must be one of ours, so that no page of somebody
//! else's that a browser has open can lead its own name here (DNS rebinding).

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::Site;
use crate::config::Http;

/// Answers only who may know.
pub(super) async fn admit(State(site): State<Site>, request: Request, next: Next) -> Response {
    let is_probe = matches!(request.uri().path(), "/livez" | "/readyz");
    if is_probe || is_trusted(&site.config.http, request.headers()) {
        return next.run(request).await;
    }
    refused(&site.config.http)
}

/// What somebody is answered who may not know.
pub(super) fn refused(http: &Http) -> Response {
    match http.token {
        Some(_) => {
            let wanted =
                [(header::WWW_AUTHENTICATE, "Basic realm=\"makegood\", charset=\"UTF-8\"")];
            (StatusCode::UNAUTHORIZED, wanted, "the token is missing or wrong (http.token)\n")
                .into_response()
        }
        None => {
            let sentence = "nothing is answered under this name: add it to http.hosts\n";
            (StatusCode::MISDIRECTED_REQUEST, sentence).into_response()
        }
    }
}

/// Whether a caller may know more than a probe.
pub(super) fn is_trusted(http: &Http, headers: &HeaderMap) -> bool {
    match &http.token {
        // Digests are compared, so that the time it takes tells nothing of the token.
        Some(token) => given(headers)
            .is_some_and(|given| Sha256::digest(given) == Sha256::digest(token.expose_secret())),
        None => is_ours(http, headers),
    }
}

/// The token as a program sends it, or a browser: as the password of any user.
fn given(headers: &HeaderMap) -> Option<String> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(rest.trim().to_owned()),
        "basic" => {
            let pair = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
            Some(pair.split_once(':')?.1.to_owned())
        }
        _ => None,
    }
}

/// An address cannot be led elsewhere, nor can localhost. A request without a name (HTTP/1.0) comes from no browser.
fn is_ours(http: &Http, headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&name);
    name == "localhost" || bare.parse::<IpAddr>().is_ok() || http.hosts.contains(&name)
}
