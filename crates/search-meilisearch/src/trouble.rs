//! What goes wrong between Meilisearch and us.

use std::time::Duration;

use meilisearch_sdk::errors::Error;
use serde::Deserialize;
use verbatim_core::ports::PortError;

/// What Meilisearch says when it refuses a request or fails a task.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub(crate) struct Refusal {
    /// The HTTP status; 0 where a task failed.
    #[serde(skip)]
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) code: String,
    /// `invalid_request`, `internal`, `auth` or `system`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// Why something could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    #[error("it did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    #[error("{0}")]
    Refused(Refusal),
    #[error("a task failed: {0}")]
    Failed(Refusal),
    #[error("task {task} is still {status} after {} s", .waited.as_secs())]
    Late { task: u64, status: String, waited: Duration },
    #[error("task {0} was cancelled by somebody else")]
    Cancelled(u64),
    #[error(
        "more than {0} exchanges would have to be looked through: narrow the search by a time range or another filter"
    )]
    TooMany(usize),
    #[error("its answer was not understood: {0}")]
    Unreadable(String),
}

impl From<Error> for Trouble {
    /// Everything of ours travels through the SDK as [`Error::Other`].
    fn from(error: Error) -> Self {
        match error {
            Error::Other(other) => match other.downcast::<Self>() {
                Ok(trouble) => *trouble,
                Err(other) => Self::Unreadable(other.to_string()),
            },
            other => Self::Unreadable(other.to_string()),
        }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        Self::Other(Box::new(trouble))
    }
}

impl Refusal {
    /// What an answer other than the expected says.
    pub(crate) fn read(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(refusal) => Self { status, ..refusal },
            Err(_) => {
                let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
                let (message, kind) = (format!("HTTP status {status} {text}"), String::new());
                Self { status, message, code: "no code".to_owned(), kind }
            }
        }
    }
}

impl Trouble {
    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) | Self::Failed(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == code)
    }

    /// Whether a key is missing, wrong or may not do this.
    pub(crate) fn is_about_credentials(&self) -> bool {
        self.refusal().is_some_and(|refusal| matches!(refusal.status, 401 | 403) || refusal.kind == "auth")
    }

    /// Whether the documents that were sent may be to blame, so that fewer of them may go through.
    pub(crate) fn may_be_a_documents_fault(&self) -> bool {
        self.is_a_documents_fault()
            || matches!(self, Self::Failed(refusal) if refusal.kind == "internal" && refusal.code == "internal")
    }

    /// Whether the documents that were sent are to blame for certain.
    pub(crate) fn is_a_documents_fault(&self) -> bool {
        self.refusal().is_some_and(|refusal| {
            refusal.status == 413
                || refusal.kind == "invalid_request"
                    && (refusal.code.contains("document")
                        || refusal.code.contains("payload")
                        || refusal.code == "max_fields_limit_exceeded")
        })
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Refused(refusal) => {
                refusal.status >= 500
                    || matches!(refusal.status, 408 | 425 | 429)
                    || matches!(refusal.kind.as_str(), "internal" | "system")
            }
            Self::Failed(refusal) => refusal.kind != "invalid_request",
            Self::Unreachable(_) | Self::Silent(_) | Self::Late { .. } | Self::Cancelled(_) => true,
            Self::TooMany(_) | Self::Unreadable(_) => false,
        }
    }

    /// As the port tells it. `address` is Meilisearch's, `doing` what was to be done.
    pub(crate) fn told(&self, address: &str, doing: &str) -> PortError {
        if self.is_about_credentials() {
            return PortError::Permanent(format!(
                "Meilisearch at {address}: could not {doing}: {self}. {KEY}"
            ));
        }
        if self.has_code("feature_not_enabled") {
            return PortError::Permanent(format!(
                "Meilisearch at {address}: could not {doing}: {self}. {CONTAINS}"
            ));
        }
        let text = format!("Meilisearch at {address}: could not {doing}: {self}");
        if self.may_pass() { PortError::Transient(text) } else { PortError::Permanent(text) }
    }
}

const KEY: &str = "Expected a key that may do search, documents.*, indexes.*, settings.*, tasks.*, stats.get, version and \
                   experimental.* on this index and the one with -next behind its name (the default admin key may): set \
                   it as api_key in the section [meilisearch], or as VERBATIM_MEILISEARCH__API_KEY";

const CONTAINS: &str = "Parts of values are looked for with its CONTAINS operator: start it with \
                        --experimental-contains-filter, or give a key that may do experimental.update";

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, kind: &str) -> Refusal {
        Refusal { status, message: "why".to_owned(), code: code.to_owned(), kind: kind.to_owned() }
    }

    #[test]
    fn what_may_pass_is_transient() {
        for (trouble, transient) in [
            (Trouble::Unreachable("refused".to_owned()), true),
            (Trouble::Silent(Duration::from_secs(1)), true),
            (Trouble::Refused(refused(503, "too_many_search_requests", "system")), true),
            (Trouble::Refused(refused(429, "no code", "")), true),
            (Trouble::Refused(refused(422, "no_space_left_on_device", "system")), true),
            (Trouble::Refused(refused(400, "invalid_search_filter", "invalid_request")), false),
            (Trouble::Refused(refused(403, "invalid_api_key", "auth")), false),
            (Trouble::Failed(refused(0, "no_space_left_on_device", "system")), true),
            (Trouble::Failed(refused(0, "index_not_found", "invalid_request")), false),
            (Trouble::Cancelled(3), true),
            (Trouble::Unreadable("HTML".to_owned()), false),
        ] {
            assert_eq!(trouble.told("http://x", "search").is_transient(), transient, "{trouble:?}");
        }
    }

    #[test]
    fn only_documents_are_blamed_for_their_faults() {
        assert!(Trouble::Failed(refused(0, "invalid_document_id", "invalid_request")).is_a_documents_fault());
        assert!(
            Trouble::Refused(refused(413, "payload_too_large", "invalid_request")).is_a_documents_fault()
        );
        let panicked = Trouble::Failed(refused(0, "internal", "internal"));
        assert!(panicked.may_be_a_documents_fault() && !panicked.is_a_documents_fault());
        for (code, kind) in [("no_space_left_on_device", "system"), ("index_not_found", "invalid_request")] {
            assert!(!Trouble::Failed(refused(0, code, kind)).may_be_a_documents_fault(), "{code}");
        }
    }

    #[test]
    fn a_missing_key_is_named_with_the_way_to_give_it() {
        let trouble = Trouble::Refused(refused(401, "missing_authorization_header", "auth"));
        let told = trouble.told("http://meili:7700", "search").to_string();
        assert!(
            told.contains("http://meili:7700") && told.contains("VERBATIM_MEILISEARCH__API_KEY"),
            "{told}"
        );
    }

    #[test]
    fn trouble_comes_back_from_the_sdk_as_it_went_in() {
        let trouble = Trouble::Refused(Refusal::read(502, b"<html>bad gateway</html>"));
        assert_eq!(Trouble::from(Error::from(trouble.clone())), trouble);
        let json = br#"{"message":"m","code":"c","type":"auth","link":"l"}"#;
        assert_eq!(Refusal::read(403, json).kind, "auth");
    }
}
