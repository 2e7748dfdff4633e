//! The description of the API.

use utoipa::OpenApi as _;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, SecurityRequirement, Server};

use crate::config::WebConfig;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Verbatim",
        description = "What applications asked LLM providers and what these answered: found, read and summed up.\n\n\
            Times are RFC 3339 in UTC. Durations are in microseconds where a name ends in `_us`, milliseconds for \
            `_ms`; costs in millionths of a US dollar for `_micros`; sizes in bytes. A figure that is not known is \
            null, never zero. Lists are paged by cursor: ask again with `next_cursor` until it is null.",
        license(name = "MIT", identifier = "MIT")
    ),
    tags(
        (name = "exchanges", description = "Calls, and everything kept of them"),
        (name = "live", description = "What passes right now"),
        (name = "statistics", description = "Sums over time and models"),
        (name = "health", description = "How recording is doing"),
        (name = "compatibility", description = "A second, flat API with numbered pages, for scripts that want no cursors")
    )
)]
struct Document;

/// The document to which the routes add themselves.
pub(crate) fn describe(config: &WebConfig) -> OpenApi {
    let mut document = Document::openapi();
    document.info.title.clone_from(&config.title);
    let base = config.public_url.as_ref().map_or("/", url::Url::as_str);
    document.servers = Some(vec![Server::new(base.trim_end_matches('/').to_owned() + "/")]);
    if !config.password.is_empty() {
        let components = document.components.get_or_insert_with(Components::new);
        for (name, scheme) in [("bearer", HttpAuthScheme::Bearer), ("basic", HttpAuthScheme::Basic)] {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
        }
        let open: [&str; 0] = [];
        document.security =
            Some(vec![SecurityRequirement::new("bearer", open), SecurityRequirement::new("basic", open)]);
    }
    document
}
