//! Which headers and query parameters hold credentials, by the parts of their names: no list of whole names keeps up
//! with providers and the gateways in front of them.
//!
//! Every header of every call comes by here. Most names are told by their last three bytes to be nothing of this kind.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What stands before `key` where that is a credential, unlike `idempotency-key`, `prompt_cache_key` or
/// `sec-websocket-key`.
const KEYS: [&str; 19] = [
    "access",
    "account",
    "admin",
    "api",
    "app",
    "auth",
    "customer",
    "encryption",
    "functions",
    "license",
    "litellm",
    "master",
    "private",
    "rapidapi",
    "secret",
    "subscription",
    "user",
    "virtual",
    "x",
];
/// What stands before `key` in a header that holds none: any other such header is recorded as if it did.
const PLAIN_KEYS: [&str; 14] = [
    "cache",
    "correlation",
    "dedupe",
    "deduplication",
    "grouping",
    "idempotency",
    "object",
    "partition",
    "public",
    "routing",
    "shard",
    "sort",
    "surrogate",
    "websocket",
];
/// What stands before `token` where that is a place in a list, or a word of a model's (`time-to-first-token`).
const PLAIN_TOKENS: [&str; 19] = [
    "completion",
    "continuation",
    "cursor",
    "each",
    "end",
    "first",
    "input",
    "last",
    "limit",
    "max",
    "next",
    "output",
    "page",
    "per",
    "prev",
    "previous",
    "prompt",
    "skip",
    "sync",
];
/// What is written in lower case, wherever it was `accessToken`.
const JOINED_KEYS: [&str; 6] = ["apikey", "appkey", "accesskey", "authkey", "secretkey", "subscriptionkey"];
const JOINED_TOKENS: [&str; 7] =
    ["accesstoken", "apitoken", "authtoken", "idtoken", "refreshtoken", "securitytoken", "sessiontoken"];

/// Whether a header holds a credential; its name is in lower case, as `HeaderName`s are.
pub(crate) fn is_secret_header(name: &str) -> bool {
    has_secret_part(name.as_bytes())
        // Portkey's holds providers' keys as JSON; Google's is the `upload_id` of an upload's URL.
        || matches!(name, "x-portkey-config" | "x-guploader-uploadid")
        || is_recorded_hidden(name)
}

/// Whether a header may hold a credential that is for somebody else than a provider, or none: what is not recorded costs
/// nobody anything.
fn is_recorded_hidden(name: &str) -> bool {
    let is_some_key = || {
        let (before, last) = parts(name.as_bytes());
        last == b"key" && !is_one_of(parts(before).1, &PLAIN_KEYS)
    };
    name.ends_with("key") && is_some_key() || name == "x-session-id" || name.starts_with("x-hub-signature")
}

/// Whether a header holds a credential for a provider, which a cookie or a signature is not; what is for a proxy is never
/// forwarded.
pub(crate) fn is_credential_header(name: &str) -> bool {
    let other = |name: &[u8]| matches!(parts(name).1, b"cookie" | b"signature" | b"uploadid");
    let is_known = has_secret_part(name.as_bytes()) || name == "x-portkey-config";
    is_known && !other(name.as_bytes()) && name != "proxy-authorization"
}

/// Whether a query parameter holds a credential; its name is as it was sent.
pub(crate) fn is_secret_parameter(name: &str) -> bool {
    let name = parameter(name);
    has_secret_part(name.as_bytes())
        || name.starts_with("x-amz-")
        // The code is OAuth's and the key of an Azure function; who has the id of Google's resumable upload may go on
        // with it (cloud.google.com/storage/docs/resumable-uploads: the session URI acts as an authentication token).
        || matches!(&*name, "code" | "auth_code" | "upload_id" | "pass" | "pwd" | "bearer")
}

/// A query parameter's name as names are compared.
pub(crate) fn parameter(name: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte != b'%' && !byte.is_ascii_uppercase();
    if name.bytes().all(plain) {
        return name.into();
    }
    percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase().into()
}

/// Whether a name in lower case says so by its last parts.
fn has_secret_part(name: &[u8]) -> bool {
    let [.., one, two, three] = name else { return false };
    match [*one, *two, *three] {
        [b'k', b'e', b'y'] => {
            let (before, last) = parts(name);
            match last {
                b"key" => before.is_empty() || is_one_of(parts(before).1, &KEYS),
                _ => is_one_of(last, &JOINED_KEYS),
            }
        }
        [b'k', b'e', b'n'] => {
            let (before, last) = parts(name);
            match last {
                b"token" => {
                    !is_one_of(parts(before).1, &PLAIN_TOKENS)
                        && !before.windows(b"ratelimit".len()).any(|window| window == b"ratelimit")
                }
                _ => is_one_of(last, &JOINED_TOKENS),
            }
        }
        [b'i', b'o', b'n'] => matches!(parts(name).1, b"authorization" | b"assertion"),
        [b'u', b't', b'h'] => parts(name).1 == b"auth",
        [b'r', b'e', b't'] => matches!(parts(name).1, b"secret" | b"clientsecret"),
        [b'o', b'r', b'd'] => parts(name).1 == b"password",
        [b'u', b'r', b'e'] => parts(name).1 == b"signature",
        [b's', b'i', b'g'] => parts(name).1 == b"sig",
        [b'k', b'i', b'e'] => parts(name).1 == b"cookie",
        [b'i', b'a', b'l'] => parts(name).1 == b"credential",
        [b'a', b'l', b's'] => {
            let (before, last) = parts(name);
            // `access-control-allow-credentials` is none.
            last == b"credentials" && parts(before).1 != b"allow"
        }
        [b's', b'w', b'd'] => parts(name).1 == b"passwd",
        [b'a', b's', b'e'] => parts(name).1 == b"passphrase",
        // A personal access token.
        [b'p', b'a', b't'] => parts(name).1 == b"pat",
        [b'j', b'w', b't'] => parts(name).1 == b"jwt",
        _ => false,
    }
}

/// What stands before the last part of a name, and that part.
fn parts(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|byte| matches!(byte, b'-' | b'_' | b'.')) {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (b"", name),
    }
}

fn is_one_of(part: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| word.as_bytes() == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_with_credentials_are_known_by_the_parts_of_their_names() {
        for name in [
            "authorization",
            "proxy-authorization",
            "cf-aig-authorization",
            "api-key",
            "api_key",
            "apikey",
            "x-api-key",
            "x-apikey",
            "xi-api-key",
            "x-goog-api-key",
            "x-portkey-api-key",
            "x-portkey-virtual-key",
            "x-portkey-aws-secret-access-key",
            "x-portkey-config",
            "x-litellm-api-key",
            "x-litellm-key",
            "helicone-auth",
            "ocp-apim-subscription-key",
            "x-functions-key",
            "x-key",
            "x-rapidapi-key",
            "x-auth-key",
            "x-auth-token",
            "x-access-token",
            "x-vault-token",
            "private-token",
            "token",
            "x-amz-security-token",
            "x-amzn-oidc-accesstoken",
            "x-goog-encryption-key",
            "x-goog-iap-jwt-assertion",
            "x-client-secret",
            "cookie",
            "set-cookie",
            "stripe-signature",
            "x-jwt",
            "x-pat",
            "x-passwd",
            "x-db-passphrase",
            "x-credentials",
            "x-session-id",
            "x-hub-signature",
            "x-hub-signature-256",
            "x-acme-key",
            "dd-application-key",
            "x-tenant-key",
        ] {
            assert!(is_secret_header(name), "{name}");
        }
    }

    #[test]
    fn what_only_sounds_like_one_stays() {
        for name in [
            "idempotency-key",
            "x-idempotency-key",
            "prompt_cache_key",
            "prompt-cache-key",
            "sec-websocket-key",
            "surrogate-key",
            "max_tokens",
            "max-token",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-limit-token",
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-output-tokens",
            "fireworks-server-time-to-first-token",
            "x-time-per-token",
            "next-page-token",
            "access-control-allow-credentials",
            "anthropic-version",
            "connection",
            "content-encoding",
            "x-request-id",
            "author",
            "key-id",
            "monkey",
            "x-cache-key",
            "partition-key",
            "public-key",
            "path",
            "x-path",
            "phrase",
            "initials",
            "session-id",
            "auth-scheme",
            "",
            "-",
        ] {
            assert!(!is_secret_header(name), "{name}");
        }
    }

    #[test]
    fn parameters_with_credentials_are_known_however_written() {
        for name in [
            "key",
            "KEY",
            "%6bey",
            "api_key",
            "api-key",
            "apiKey",
            "subscription-key",
            "access_token",
            "accessToken",
            "token",
            "sig",
            "Signature",
            "X-Goog-Signature",
            "X-Goog-Credential",
            "X-Amz-Signature",
            "X-Amz-Date",
            "client_secret",
            "user_key",
            "app_key",
            "appkey",
            "apitoken",
            "pass",
            "passwd",
            "pwd",
            "bearer",
            "auth_code",
            "code",
            "upload_id",
        ] {
            assert!(is_secret_parameter(name), "{name}");
        }
        for name in [
            "alt",
            "pageToken",
            "page_token",
            "next-token",
            "keys",
            "monkey",
            "Expires",
            "model",
            "q",
            "cache_key",
            "path",
        ] {
            assert!(!is_secret_parameter(name), "{name}");
        }
    }

    #[test]
    fn a_cookie_is_no_credential_for_a_provider() {
        assert!(is_credential_header("xi-api-key") && is_credential_header("authorization"));
        for name in [
            "cookie",
            "proxy-authorization",
            "stripe-signature",
            "x-guploader-uploadid",
            "accept",
            "x-session-id",
            "x-acme-key",
        ] {
            assert!(!is_credential_header(name), "{name}");
        }
    }
}
