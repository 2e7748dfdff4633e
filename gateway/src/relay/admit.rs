//! Whether a call may go on, and where to. Either way its record begins here.

use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri, Version};
use verbatim_core::model::{ProviderDialect, RecordMode, UnknownWord};

use super::answer::Refusal;
use super::begin::Beginning;
use super::{Peer, Relay, cors};
use crate::capture::Call;
use crate::config::Provider;
use crate::lending::Names;
use crate::route::{Forward, Route, guess_dialect};
use crate::target::target;
use crate::{caller, credentials, headers, lending};

/// A head longer than this is refused: providers refuse it too, and records are kept of heads.
const HEAD_BYTES: usize = 64 * 1024;

/// A call that may go on.
pub(super) struct Admitted {
    pub(super) call: Call,
    pub(super) provider: Arc<Provider>,
    pub(super) uri: Uri,
    pub(super) method: Method,
    /// The caller's HTTP version.
    pub(super) version: Version,
    /// The headers to forward.
    pub(super) headers: HeaderMap,
    pub(super) peer: Peer,
    pub(super) began: Instant,
}

/// A call that may not.
pub(super) struct Refused {
    pub(super) call: Call,
    /// The language to tell it in.
    pub(super) dialect: ProviderDialect,
    pub(super) refusal: Refusal,
}

/// A call that finds no way.
struct Astray {
    provider: Option<Arc<Provider>>,
    refusal: Refusal,
}

impl Relay {
    /// Finds out where a call goes and whether it may.
    pub(super) fn admit(&self, peer: Peer, began: Instant, head: Parts) -> Result<Admitted, Box<Refused>> {
        let mode = caller::record_mode(&head.headers);
        let path = head.uri.path();
        let (forward, session) = match self.routes.find(false, path, &head.headers) {
            Route::Forward(forward) => {
                let session = forward.session;
                (Ok(forward), session)
            }
            Route::Refused { message, session } => (Err(message), session),
            // Asked for with a method that changes something, these paths are a provider's.
            Route::Own(_) => (Err("this path is the gateway's own".to_owned()), None),
        };
        let way = way(&head, mode.as_ref().err(), forward);
        let (provider, uri) = match &way {
            Ok((provider, uri)) => (Some(&**provider), Some(uri)),
            Err(astray) => (astray.provider.as_deref(), None),
        };
        let dialect =
            provider.map_or_else(|| guess_dialect(path, &head.headers), |provider| provider.dialect);
        let call = self.begin(&Beginning {
            peer: &peer,
            began,
            head: &head,
            session,
            // Of a call whose wish can't be read, as little as anybody may have wished.
            mode: mode.unwrap_or(RecordMode::Off),
            provider,
            dialect,
            uri,
        });
        let (provider, mut uri) = match way {
            // Nobody who set it up said that the network may reach what listens on this machine.
            Ok((provider, _)) if !self.on_loopback && provider.is_builtin && provider.base_url.is_local() => {
                let message = format!(
                    "this relay is open to the network, and the built-in provider {name}, at {url}, is not: to open it, \
                     configure [[providers]] with name = \"{name}\" and base_url = \"{url}\"",
                    name = provider.name,
                    url = provider.base_url,
                );
                let refusal = Refusal::refused(StatusCode::FORBIDDEN, &message);
                return Err(Box::new(Refused { call, dialect, refusal }));
            }
            Ok(way) => way,
            Err(Astray { refusal, .. }) => return Err(Box::new(Refused { call, dialect, refusal })),
        };
        let address = peer.address.to_canonical();
        let Parts { method, uri: asked, version, mut headers, .. } = head;
        let has_own = credentials::of_caller(&headers, asked.query()).is_some();
        let lendable = |lent| {
            let page_may = cors::allowed(&self.cors, &headers).is_some();
            let names = Names {
                public: self.public_host.as_deref(),
                behind_proxy: self.trusted_proxies.iter().any(|network| network.contains(address)),
                on_loopback: self.on_loopback,
            };
            lending::lendable(&headers, asked.host(), page_may, names, lent)
        };
        if let Err(error) = credentials::check(self.policy, &provider, has_own, lendable) {
            let refusal = Refusal::refused(StatusCode::UNAUTHORIZED, &error);
            return Err(Box::new(Refused { call, dialect, refusal }));
        }
        headers::strip_request(&mut headers);
        if !self.policy.allow_passthrough {
            uri = credentials::strip(&mut headers, uri);
        }
        credentials::add(self.policy, &provider, has_own, &mut headers);
        Ok(Admitted { call, provider, uri, method, version, headers, peer, began })
    }
}

/// The provider and the URI to call there.
fn way(
    head: &Parts,
    unknown_mode: Option<&UnknownWord>,
    forward: Result<Forward<'_>, String>,
) -> Result<(Arc<Provider>, Uri), Astray> {
    let Forward { provider, path, .. } = forward.map_err(|message| Astray {
        provider: None,
        refusal: Refusal::refused(StatusCode::NOT_FOUND, &message),
    })?;
    match uri(head, unknown_mode, &provider, path) {
        Ok(uri) => Ok((provider, uri)),
        Err(refusal) => Err(Astray { provider: Some(provider), refusal }),
    }
}

fn uri(
    head: &Parts,
    unknown_mode: Option<&UnknownWord>,
    provider: &Provider,
    path: &str,
) -> Result<Uri, Refusal> {
    if let Some(error) = unknown_mode {
        return Err(Refusal::refused(StatusCode::BAD_REQUEST, &format!("x-verbatim-record: {error}")));
    }
    let asked = head.uri.path_and_query().filter(|path| path.as_str().starts_with('/'));
    let Some(asked) = asked.filter(|_| head.method != Method::CONNECT) else {
        let message = "this is no forward proxy: send calls to its own address, with a path such as /v1/...";
        return Err(Refusal::refused(StatusCode::METHOD_NOT_ALLOWED, &message));
    };
    // RFC 9112, section 6.1: whoever does not understand one answers 501. Passed on as `chunked` alone, the body would be
    // taken for what it is not.
    if let Some(coding) = headers::other_transfer_coding(&head.headers) {
        let message = format!(
            "a body in transfer coding {coding:?} is not taken: send it in \"chunked\" alone, with what else it is in as \
             content-encoding"
        );
        return Err(Refusal::refused(StatusCode::NOT_IMPLEMENTED, &message));
    }
    let size = asked.as_str().len() + headers::size(&head.headers);
    if size > HEAD_BYTES {
        let message = format!("the request's head has {size} bytes: at most {HEAD_BYTES} are taken");
        return Err(Refusal::refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, &message));
    }
    target(provider, path, asked).map_err(|error| Refusal::refused(StatusCode::BAD_REQUEST, &error))
}
