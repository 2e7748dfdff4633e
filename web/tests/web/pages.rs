//! What the pages promise: nothing recorded ever runs, and any size can be opened.

use std::time::Instant;

use verbatim_core::model::{Leg, Outcome, Timeline};
use verbatim_testkit::ExchangeBuilder;

use crate::client::{Site, chat};

/// Everything that might run if it were let.
const HOSTILE: &str = "<script>pwned()</script><img src=x onerror=pwned()><svg onload=pwned()>\
    <a href=\"javascript:pwned()\">x</a> [y](javascript:pwned()) ![z](https://evil.example/p.png) \
    \"'><iframe srcdoc=\"<script>pwned()</script>\"></iframe> ${pwned()} {{pwned()}} <!--";

fn hostile() -> ExchangeBuilder {
    let request = serde_json::json!({"model": HOSTILE, "user": HOSTILE, "messages": [
        {"role": "system", "content": HOSTILE},
        {"role": HOSTILE, "name": HOSTILE, "content": HOSTILE},
        {"role": "user", "content": [{"type": "text", "text": HOSTILE},
            {"type": "image_url", "image_url": {"url": "javascript:pwned()"}},
            {"type": "image_url", "image_url": {"url": format!("data:text/html,{HOSTILE}")}},
            {"type": HOSTILE, "x": HOSTILE}]},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": HOSTILE, "arguments": HOSTILE}}]},
        {"role": "tool", "tool_call_id": "1", "content": HOSTILE}],
        "tools": [{"type": "function", "function": {"name": HOSTILE, "description": HOSTILE}}]});
    let response = serde_json::json!({"model": HOSTILE, "choices": [{"index": 0, "finish_reason": HOSTILE,
        "message": {"role": "assistant", "content": HOSTILE, "reasoning_content": HOSTILE, "refusal": HOSTILE}}]});
    ExchangeBuilder::minted()
        .with(|exchange| {
            let evil = || Some(HOSTILE.to_owned());
            exchange.caller.app = evil();
            exchange.caller.key = evil();
            exchange.caller.client_address = evil();
            exchange.model_asked = evil();
            exchange.model_served = evil();
            exchange.session = evil();
            exchange.error = evil();
            exchange.trace_id = evil();
            exchange.finish_reason = evil();
            exchange.provider_request_id = evil();
            exchange.tags = vec![HOSTILE.to_owned()];
            exchange.provider = HOSTILE.to_owned();
            exchange.path = format!("/v1/{HOSTILE}");
            exchange.asked_preview = HOSTILE.to_owned();
            exchange.answered_preview = HOSTILE.to_owned();
            exchange.price_version = evil();
        })
        .with_heads(|heads| {
            heads.request.headers.push(HOSTILE, HOSTILE);
            heads.notes.push(HOSTILE.to_owned());
            heads.facts.insert(HOSTILE.to_owned(), HOSTILE.to_owned());
            heads.attempts[0].url = HOSTILE.to_owned();
            heads.attempts[0].error = Some(HOSTILE.to_owned());
        })
        .body(Leg::ClientRequest, request.to_string(), Timeline::default())
        .body(Leg::ClientResponse, response.to_string(), Timeline::default())
}

/// Tags of a page with their attributes, as a browser takes them apart: quoted values may hold anything.
fn tags(html: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if !rest.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            continue;
        }
        let end = rest.find(|letter: char| letter.is_whitespace() || letter == '>').unwrap();
        let name = rest[..end].trim_end_matches('/').to_ascii_lowercase();
        rest = &rest[end..];
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break;
            }
            let end =
                rest.find(|letter: char| letter.is_whitespace() || matches!(letter, '=' | '>')).unwrap();
            let attribute = rest[..end].to_ascii_lowercase();
            rest = &rest[end..];
            let mut value = String::new();
            if let Some(after) = rest.strip_prefix('=') {
                let quote = after.chars().next().unwrap();
                assert!(matches!(quote, '"' | '\''), "an attribute without quotes: {attribute}");
                let end = after[1..].find(quote).unwrap();
                value = after[1..=end].to_owned();
                rest = &after[end + 2..];
            }
            attributes.push((attribute, value));
        }
        tags.push((name, attributes));
    }
    tags
}

fn assert_inert(html: &str, page: &str) {
    for (name, attributes) in tags(html) {
        let value = |wanted: &str| {
            attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
        };
        assert!(
            !matches!(name.as_str(), "iframe" | "object" | "embed" | "base" | "style"),
            "{page}: <{name}>"
        );
        if name == "script" {
            assert!(
                value("src").is_some_and(|src| src.starts_with("/assets/")),
                "{page}: a script of its own"
            );
        }
        if name == "img" {
            assert!(
                value("src").is_some_and(|src| src.starts_with("data:image/png;")),
                "{page}: {attributes:?}"
            );
        }
        for (attribute, value) in &attributes {
            assert!(!attribute.starts_with("on"), "{page}: <{name} {attribute}>");
            assert_ne!(attribute, "style", "{page}: <{name}>");
            if matches!(attribute.as_str(), "href" | "action" | "hx-get") {
                let safe =
                    ["/", "#", "https://evil.example/p.png"].iter().any(|start| value.starts_with(start));
                assert!(safe && !value.starts_with("//"), "{page}: {attribute}={value}");
            }
        }
    }
    assert!(!html.contains("<script>"), "{page}");
}

#[tokio::test]
async fn nothing_that_was_recorded_becomes_markup() {
    let site = Site::new().await;
    let id = site.add(hostile());
    let mut pages = vec![
        "/".to_owned(),
        "/exchanges".to_owned(),
        "/docs".to_owned(),
        "/exchanges?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E".to_owned(),
        "/exchanges?q=%22%3E%3Cscript%3E".to_owned(),
        "/exchanges?q=statsu%3A%3Cscript%3E&range=%22%3E%3Cscript%3E".to_owned(),
        "/?hours=%22%3E%3Cscript%3E".to_owned(),
    ];
    for tab in ["conversation", "raw", "headers", "timeline", "%22%3E%3Cscript%3E"] {
        pages.push(format!("/exchanges/{id}?tab={tab}"));
    }
    for page in pages {
        let response = site.get(&page).await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"), "{page}");
        assert!(!policy.contains("unsafe"), "{page}: {policy}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert!(response.headers().contains_key("referrer-policy"));
        assert_inert(&response.text().await.unwrap(), &page);
    }
    for piece in [
        format!("/exchanges/{id}/text?at=m2.0"),
        format!("/exchanges/{id}/messages?from=0&to=9"),
        format!("/exchanges/{id}/legs/client_request/text?from=10"),
    ] {
        assert_inert(&site.page(&piece).await, &piece);
    }
}

#[tokio::test]
async fn an_exchange_of_twenty_megabytes_opens_as_a_small_page_and_nothing_of_it_is_out_of_reach() {
    let site = Site::new().await;
    let text = "0123456789abcdef ".repeat(1_200);
    let messages: Vec<_> = (0..1_000)
        .map(|at| serde_json::json!({"role": if at % 2 == 0 { "user" } else { "assistant" }, "content": format!("m{at} {text}")}))
        .collect();
    let request = serde_json::json!({"model": "gpt-4o", "messages": messages}).to_string();
    assert!(request.len() > 20_000_000);
    let id = site.add(ExchangeBuilder::minted().request(request));
    let started = Instant::now();
    for tab in ["conversation", "raw", "headers", "timeline"] {
        let html = site.page(&format!("/exchanges/{id}?tab={tab}")).await;
        assert!(html.len() < 1_000_000, "{tab}: {}", html.len());
    }
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    let html = site.page(&format!("/exchanges/{id}")).await;
    assert!(html.contains("m999 ") && !html.contains("m1 0123"));
    assert!(html.contains("976 earlier messages"));
    let earlier = site.page(&format!("/exchanges/{id}/messages?from=0&to=2")).await;
    assert!(earlier.contains("m0 ") && earlier.contains("m1 "));
    let rest = site.page(&format!("/exchanges/{id}/text?at=m999.0&from=8192")).await;
    assert!(rest.contains("abcdef"));
}

#[tokio::test]
async fn one_text_of_a_megabyte_can_be_read_to_its_end() {
    let site = Site::new().await;
    let text = format!("{}the very end", "天气 ".repeat(150_000));
    let id = site.add(chat("q", &text));
    let mut url = format!("/exchanges/{id}");
    let mut steps = 0;
    loop {
        let html = site.page(&url).await;
        steps += 1;
        let Some(at) = html.find(&format!("/exchanges/{id}/text?at=c0.0")) else {
            assert!(html.contains("the very end"));
            break;
        };
        let end = at + html[at..].find('"').unwrap();
        url = html[at..end].replace("&#38;", "&").replace("&amp;", "&");
    }
    assert!((10..40).contains(&steps), "{steps}");
}

#[tokio::test]
async fn pages_speak_the_readers_language() {
    let site = Site::new().await;
    site.add(chat("a", "b"));
    let english =
        site.get_with("/exchanges", &[("accept-language", "de,en;q=0.5")]).await.text().await.unwrap();
    assert!(english.contains("lang=\"en\"") && english.contains("Exchanges"));
    let chinese =
        site.get_with("/exchanges", &[("accept-language", "zh-CN,zh;q=0.9")]).await.text().await.unwrap();
    assert!(chinese.contains("lang=\"zh-CN\"") && chinese.contains("调用记录"));
    let chosen = site
        .get_with("/", &[("accept-language", "zh-CN"), ("cookie", "verbatim_lang=en; verbatim_theme=dark")]);
    let chosen = chosen.await.text().await.unwrap();
    assert!(chosen.contains("lang=\"en\"") && chosen.contains("data-theme=\"dark\""));
}

#[tokio::test]
async fn an_empty_archive_tells_how_to_begin() {
    let site = Site::with(|config, _| config.gateway_url = "http://127.0.0.1:4567".to_owned()).await;
    for page in ["/", "/exchanges"] {
        let html = site.page(page).await;
        assert!(html.contains("Nothing has been relayed yet"), "{page}");
        assert!(html.contains("base_url=\"http://127.0.0.1:4567/v1\""), "{page}");
    }
    site.add(chat("a", "b"));
    assert!(!site.page("/exchanges").await.contains("Nothing has been relayed yet"));
}

#[tokio::test]
async fn lost_bytes_are_an_alarm() {
    let site = Site::with(|_, ports| {
        let figures = verbatim_web::GatewayFigures { lost_bytes: 4_096, ..Default::default() };
        ports.health = std::sync::Arc::new(crate::support::Gateway(figures));
    })
    .await;
    assert_eq!(site.json("/api/v1/health/pipeline").await["status"], "losing");
    assert!(site.page("/").await.contains("Bytes were lost"));
    assert!(site.page("/pulse").await.contains("losing"));
    let whole = Site::new().await;
    assert!(whole.page("/pulse").await.contains("0 bytes lost"));
}

#[tokio::test]
async fn calls_that_could_not_be_recorded_are_an_alarm() {
    let site = Site::with(|_, ports| {
        let figures = verbatim_web::GatewayFigures { unrecorded_exchanges: 3, ..Default::default() };
        ports.health = std::sync::Arc::new(crate::support::Gateway(figures));
    })
    .await;
    let health = site.json("/api/v1/health/pipeline").await;
    assert_eq!(health["status"], "losing");
    assert_eq!(health["gateway"]["unrecorded_exchanges"], 3);
    assert_eq!(health["problems"][0], "3 calls could not be recorded since the start");
    let page = site.page("/").await;
    assert!(page.contains("Calls were not recorded.") && !page.contains("Bytes were lost"));
    assert_eq!(page.matches("3 calls not recorded").count(), 1, "the row of what was lost");
    let pulse = site.page("/pulse").await;
    assert!(pulse.contains("losing") && pulse.contains("3 calls not recorded"), "{pulse}");
    assert!(!pulse.contains("bytes lost"), "{pulse}");
}

#[tokio::test]
async fn every_style_and_script_that_a_page_names_is_there() {
    let site = Site::with(|config, _| config.password = "open sesame".to_owned()).await;
    let password = [("authorization", "Bearer open sesame")];
    for (page, styles) in [("/login", 8), ("/", 9), ("/exchanges", 8), ("/docs", 8)] {
        let html = site.get_with(page, &password).await.text().await.unwrap();
        let named = html.split('"').filter(|text| text.starts_with("/assets/"));
        let mut found = 0;
        for asset in named {
            let answer = site.get(asset).await;
            assert_eq!(answer.status(), 200, "{page} names {asset}");
            found += usize::from(answer.headers()["content-type"] == "text/css");
        }
        assert_eq!(found, styles, "{page}: {html}");
    }
}

#[tokio::test]
async fn assets_are_kept_by_browsers_and_pages_are_not() {
    let site = Site::new().await;
    let html = site.page("/").await;
    let at = html.find("/assets/").unwrap();
    let path = &html[at..at + html[at..].find('"').unwrap()];
    let asset = site.get(path).await;
    assert_eq!(asset.status(), 200);
    assert!(asset.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(site.get("/").await.headers()["cache-control"], "no-store");
    assert_eq!(site.get("/assets/x/../Cargo.toml").await.status(), 404);
    assert_eq!(site.get("/assets/x/%2e%2e/Cargo.toml").await.status(), 404);
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_a_page_for_browsers_and_an_error_for_programs() {
    let site = Site::new().await;
    let html = [("accept", "text/html,*/*;q=0.8"), ("accept-language", "zh")];
    let page = site.get_with("/nowhere", &html).await;
    assert_eq!(page.status(), 404);
    assert!(page.text().await.unwrap().contains("没有这个页面"));
    for (path, headers) in [("/nowhere", &[][..]), ("/api/v1/nowhere", &html[..])] {
        let answer = site.get_with(path, headers).await;
        assert_eq!(answer.status(), 404);
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], "not_found", "{path}");
    }
}

#[tokio::test]
async fn an_error_stands_on_its_page_once() {
    let site = Site::new().await;
    let id = site.add(
        ExchangeBuilder::minted()
            .with(|exchange| {
                exchange.status = Some(429);
                exchange.outcome = Outcome::UpstreamError;
                exchange.error = Some("slow_down: Too many at once".to_owned());
            })
            .response(r#"{"error": {"message": "Too many at once", "type": "slow_down"}}"#),
    );
    let page = site.page(&format!("/exchanges/{id}")).await;
    assert_eq!(page.matches("Too many at once").count(), 1, "{page}");
}

#[tokio::test]
async fn what_the_relay_says_is_said_in_the_reader_s_language() {
    let site = Site::new().await;
    let id = site.add(chat("rain?", "no").with(|exchange| {
        exchange.outcome = Outcome::ClientAborted;
        exchange.error = Some("the caller left before the call was over".to_owned());
    }));
    for path in ["/", "/exchanges", &format!("/exchanges/{id}")] {
        let chinese = site.get_with(path, &[("accept-language", "zh")]).await.text().await.unwrap();
        assert!(chinese.contains("调用方在调用结束前断开") && !chinese.contains("the caller left"), "{path}");
        assert!(site.page(path).await.contains("the caller left before the call was over"), "{path}");
    }
}
