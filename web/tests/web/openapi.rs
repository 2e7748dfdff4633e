//! The description is true: every route it names answers as it says.

use std::time::Duration;

use serde_json::Value;
use verbatim_core::model::{ChunkTime, Leg, Timeline};

use crate::client::{Site, chat};

/// What is wrong with a value, held against its schema.
fn mismatch(value: &Value, schema: &Value, document: &Value, at: &str) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return mismatch(value, target, document, at);
    }
    if let Some(variants) = schema["oneOf"].as_array() {
        let fits = |variant| mismatch(value, variant, document, at).is_none();
        return (!variants.iter().any(fits)).then(|| format!("{at}: none of the variants fits {value}"));
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let known: Vec<String> = parts.iter().flat_map(|part| names(part, document)).collect();
        let unknown = value.as_object()?.keys().find(|key| !known.contains(key));
        if let Some(unknown) = unknown {
            return Some(format!("{at}: {unknown} is not described"));
        }
        return parts.iter().find_map(|part| fields(value, part, document, at));
    }
    if let Some(wrong) = kind_mismatch(value, &schema["type"], at) {
        return Some(wrong);
    }
    if let Some(items) = value.as_array() {
        return items.iter().find_map(|item| mismatch(item, &schema["items"], document, &format!("{at}[]")));
    }
    if value.is_object() && schema.get("properties").is_some() {
        let known = names(schema, document);
        if let Some(unknown) = value.as_object()?.keys().find(|key| !known.contains(key)) {
            return Some(format!("{at}: {unknown} is not described"));
        }
    }
    fields(value, schema, document, at)
}

fn names(schema: &Value, document: &Value) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return names(document.pointer(&reference[1..]).unwrap(), document);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().flat_map(|part| names(part, document)).collect();
    }
    schema["properties"].as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
}

fn fields(value: &Value, schema: &Value, document: &Value, at: &str) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return fields(value, document.pointer(&reference[1..]).unwrap(), document, at);
    }
    let object = value.as_object()?;
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        if !object.contains_key(name) {
            return Some(format!("{at}: {name} is required and missing"));
        }
    }
    schema["properties"].as_object().into_iter().flatten().find_map(|(name, field)| {
        let value = object.get(name)?;
        mismatch(value, field, document, &format!("{at}.{name}"))
    })
}

fn kind_mismatch(value: &Value, kind: &Value, at: &str) -> Option<String> {
    let kinds: Vec<&str> = match kind {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let fits = |kind: &&str| match *kind {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: a type {other}"),
    };
    (!kinds.iter().any(fits)).then(|| format!("{at}: {value} is none of {kinds:?}"))
}

#[tokio::test]
async fn every_route_answers_as_it_is_described() {
    let site = Site::new().await;
    let id = site.add(chat("question", "answer").body(
        Leg::UpstreamRequest,
        "{}",
        Timeline { chunks: vec![ChunkTime { offset: 0, at_us: 1 }] },
    ));
    let document = site.json("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 20, "{}", paths.len());
    for (path, verbs) in paths {
        for (verb, operation) in verbs.as_object().unwrap() {
            assert_eq!(verb, "get", "{path}");
            assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{path}");
            if path == "/api/v1/live" {
                continue;
            }
            let url = path.replace("{id}", &id.to_string()).replace("{leg}", "client_request");
            for query in ["", "?format=json", "?format=csv", "?format=parquet"] {
                let asked = operation["parameters"].as_array().into_iter().flatten();
                if !query.is_empty() && !asked.clone().any(|parameter| parameter["name"] == "format") {
                    continue;
                }
                check(&site, &format!("{url}{query}"), operation, &document).await;
            }
        }
    }
}

async fn check(site: &Site, url: &str, operation: &Value, document: &Value) {
    let response = site.get(url).await;
    let status = response.status().as_str().to_owned();
    let described = &operation["responses"][&status];
    assert!(described.is_object(), "{url}: {status} is not described");
    let kind = response.headers()["content-type"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let content = described["content"].as_object().unwrap();
    if url.contains("/legs/") {
        return;
    }
    let schema = content.get(&kind).unwrap_or_else(|| panic!("{url}: {kind} is not described"));
    if kind == "application/json" {
        let body: Value = response.json().await.unwrap();
        if let Some(wrong) = mismatch(&body, &schema["schema"], document, "body") {
            panic!("{url}: {wrong}");
        }
    } else if kind == "application/x-ndjson" {
        for line in response.text().await.unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(mismatch(&line, &schema["schema"], document, "line"), None, "{url}");
        }
    }
}

#[tokio::test]
async fn errors_are_described_too() {
    let site = Site::new().await;
    let document = site.json("/openapi.json").await;
    let schema = serde_json::json!({"$ref": "#/components/schemas/ErrorBody"});
    for path in ["/api/v1/exchanges?q=statsu%3A1", "/api/v1/exchanges/x", "/api/v1/nothing"] {
        let body: Value = site.get(path).await.json().await.unwrap();
        assert_eq!(mismatch(&body, &schema, &document, "error"), None, "{path}");
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let site = Site::new().await;
    let document = site.json("/openapi.json").await;
    let text = document.to_string();
    for (name, _) in document["components"]["schemas"].as_object().unwrap() {
        assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "{name} is never used");
    }
    let mut at = 0;
    while let Some(found) = text[at..].find("\"#/") {
        let start = at + found + 1;
        let end = start + text[start..].find('"').unwrap();
        assert!(document.pointer(&text[start + 1..end]).is_some(), "{}", &text[start..end]);
        at = end;
    }
}

#[tokio::test]
async fn a_password_is_described_and_pages_are_served_without_anything_from_elsewhere() {
    let site = Site::with(|config, _| config.password = "x".to_owned()).await;
    let bearer = [("authorization", "Bearer x")];
    let document: Value = site.get_with("/openapi.json", &bearer).await.json().await.unwrap();
    assert!(document["components"]["securitySchemes"]["bearer"].is_object());
    for path in ["/docs", "/redoc"] {
        let html = site.get_with(path, &bearer).await.text().await.unwrap();
        assert!(!html.contains("//cdn") && !html.contains("https://"), "{path}");
    }
}

#[tokio::test]
async fn live_is_described_as_a_stream() {
    let site = Site::new().await;
    let document = site.json("/openapi.json").await;
    let live = &document["paths"]["/api/v1/live"]["get"]["responses"]["200"]["content"];
    assert!(live["text/event-stream"].is_object(), "{live}");
    let open = tokio::time::timeout(Duration::from_secs(5), site.get("/api/v1/live")).await.unwrap();
    assert_eq!(open.headers()["content-type"], "text/event-stream");
}
