//! Calls that are no conversation, and calls that fail.

use std::time::Duration;

use serde_json::{Value, json};

use super::conversation::{Conversation, Wire, headers};
use super::{ANALYST, App, DOCS, INDEXER, SUPPORT, SampleCall, questions};
use crate::random::Draw;

fn plain(method: &'static str, path: &str, body: &Value, draw: &mut Draw) -> SampleCall {
    SampleCall {
        method,
        path: path.to_owned(),
        headers: headers(Wire::Chat, draw),
        body: if body.is_null() { String::new() } else { body.to_string() },
        pause: Duration::from_millis(100 + draw.below(600) as u64),
        leave_after: None,
    }
}

/// Facts taken from a text, as a schema wants them.
pub(super) fn extraction(draw: &mut Draw) -> (App, Vec<SampleCall>) {
    const TEXTS: &[&str] = &[
        "Invoice 4711 from Contoso Ltd, 12 March 2026, total 1,280.50 EUR, due in 30 days.",
        "发票号 8821，供应商：星河科技有限公司，金额 3,560 元，付款期限 15 天。",
        "請求書番号 5530、株式会社さくら、合計 48,000 円、支払期限は月末。",
        "송장 번호 9917, 한빛상사, 합계 120,000원, 지급 기한 7일.",
    ];
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["number", "supplier", "total", "days"],
        "properties": {
            "number": {"type": "string"}, "supplier": {"type": "string"}, "total": {"type": "number"},
            "days": {"type": "integer", "minimum": 0, "maximum": 90},
        },
    });
    let mut conversation =
        Conversation::new(Wire::Chat, "gpt-4o-mini", "Extract the invoice's data from the text.", &[]);
    conversation.stream = false;
    conversation.more = json!({"response_format": {
        "type": "json_schema", "json_schema": {"name": "invoice", "strict": true, "schema": schema},
    }});
    conversation.say(draw.pick(TEXTS).unwrap_or_default());
    conversation.send(None, draw);
    (ANALYST, conversation.finish())
}

/// Pieces of documents, embedded to be searched later.
pub(super) fn embeddings(draw: &mut Draw) -> (App, Vec<SampleCall>) {
    const PIECES: &[&str] = &[
        "Backups are taken every night and kept for thirty days.",
        "To rotate a key, create the new one first, then revoke the old one.",
        "数据库每天凌晨自动备份。",
        "会议纪要：下周开始灰度发布。",
        "データベースは毎晩バックアップされます。",
        "배포는 매주 화요일에 진행됩니다.",
        "An alert fires when the queue is older than five minutes.",
    ];
    let calls = (0..1 + draw.below(3))
        .map(|_| {
            let input: Vec<&str> = (0..2 + draw.below(3)).filter_map(|_| draw.pick(PIECES)).collect();
            let body = json!({
                "model": "text-embedding-3-small", "input": input, "dimensions": 256, "encoding_format": "base64",
            });
            plain("POST", "/v1/embeddings", &body, draw)
        })
        .collect();
    (INDEXER, calls)
}

/// A text is checked before it is answered.
pub(super) fn moderation(draw: &mut Draw) -> (App, Vec<SampleCall>) {
    let body = json!({"model": "omni-moderation-latest", "input": "How do I kill a process that hangs?"});
    let mut calls = vec![plain("POST", "/v1/moderations", &body, draw)];
    let mut conversation = Conversation::new(Wire::Chat, "gpt-4o-mini", "Answer briefly.", &[]);
    conversation.say("How do I kill a process that hangs?");
    conversation.send(None, draw);
    calls.extend(conversation.finish());
    (SUPPORT, calls)
}

/// A client asks which models there are.
pub(super) fn models(draw: &mut Draw) -> (App, Vec<SampleCall>) {
    (DOCS, vec![plain("GET", "/v1/models", &Value::Null, draw)])
}

/// A call is refused for its rate, and sent again as the provider says.
pub(super) fn rate_limit(draw: &mut Draw) -> (App, Vec<SampleCall>) {
    failing("status=429; retry-after=2; delay-head=40ms", Duration::from_secs(2), draw)
}

/// A call fails at the provider, and is sent again a moment later.
pub(super) fn server_error(draw: &mut Draw) -> (App, Vec<SampleCall>) {
    failing("status=500; delay-head=600ms", Duration::from_millis(800), draw)
}

fn failing(directives: &str, pause: Duration, draw: &mut Draw) -> (App, Vec<SampleCall>) {
    let (app, mut calls) = questions::chat(draw);
    if let Some(mut again) = calls.first().cloned() {
        again.pause = pause;
        calls.insert(1, again);
        for (name, value) in &mut calls[0].headers {
            if *name == "x-mock" {
                directives.clone_into(value);
            }
        }
    }
    (app, calls)
}
