//! People asking questions, once or a few times in a row.

use std::time::Duration;

use serde_json::json;

use super::conversation::{Conversation, Wire};
use super::{ANALYST, App, DOCS, LOCAL, SUPPORT, SampleCall, TRAVEL};
use crate::random::Draw;

/// Questions that follow one another.
const TOPICS: &[&[&str]] = &[
    &[
        "How does a database index speed up a query?",
        "When does an index make things slower instead?",
        "Which index would you use for full-text search?",
    ],
    &["Explain ownership and borrowing in Rust.", "What is the difference between Rc and Arc?"],
    &["Write a haiku about message queues.", "Make it funnier, please."],
    &["Summarise the quarterly report in three points.", "Which risk deserves most attention?"],
    &["What causes a TLS handshake to fail?", "How can I debug the certificate chain with openssl?"],
    &["Translate 'the meeting was moved to Friday' into German.", "And into Spanish?"],
    &["什么是分布式数据库？", "它和传统数据库有什么区别？", "请给我一个实际的例子。"],
    &["如何优化慢查询？", "索引应该怎么设计？"],
    &["请解释一下消息队列的作用。", "怎样保证消息不丢失？"],
    &["帮我写一封邮件，通知客户会议改到星期五。", "语气再正式一点。"],
    &["データベースのインデックスとは何ですか？", "インデックスを増やしすぎると何が起きますか？"],
    &["非同期処理の利点を教えてください。", "具体的な例を挙げてください。"],
    &["東京でおすすめの観光地を教えてください。", "雨の日はどうすればいいですか？"],
    &["데이터베이스 트랜잭션이란 무엇인가요?", "격리 수준의 차이를 설명해 주세요."],
    &["서울에서 가볼 만한 곳을 추천해 주세요.", "아이와 함께라면 어디가 좋을까요?"],
    &["캐시를 언제 사용해야 하나요?", "캐시 무효화는 어떻게 하나요?"],
];

/// Who asks, in which dialect, of which models.
const CALLERS: &[(App, Wire, &[&str])] = &[
    (DOCS, Wire::Chat, &["gpt-4o-mini", "gpt-4o"]),
    (SUPPORT, Wire::Chat, &["gpt-4o-mini", "gpt-5-mini"]),
    (ANALYST, Wire::Responses, &["gpt-5", "gpt-5-mini"]),
    (DOCS, Wire::Anthropic, &["claude-haiku-4-5", "claude-sonnet-4-5"]),
    (TRAVEL, Wire::Gemini, &["gemini-2.5-flash", "gemini-2.5-pro"]),
    (LOCAL, Wire::Ollama, &["llama3.1:8b", "qwen3:8b"]),
];

const SYSTEM: &str = "You are a helpful assistant. Answer briefly, in the language of the question.";

/// One to three questions, mostly streamed.
pub(super) fn chat(draw: &mut Draw) -> (App, Vec<SampleCall>) {
    let (app, wire, models) = CALLERS[draw.below(CALLERS.len())];
    let topic = TOPICS[draw.below(TOPICS.len())];
    let mut conversation = Conversation::new(wire, draw.pick(models).unwrap_or("gpt-4o"), SYSTEM, &[]);
    conversation.stream = draw.chance(70);
    for question in topic.iter().take(1 + draw.below(topic.len())) {
        conversation.say(question);
        conversation.send(None, draw);
    }
    (app, conversation.finish())
}

/// A question to a model that reasons first.
pub(super) fn reasoning(draw: &mut Draw) -> (App, Vec<SampleCall>) {
    let question = TOPICS[draw.below(TOPICS.len())][0];
    let (wire, model, more) = match draw.below(4) {
        0 => (Wire::Chat, "deepseek-reasoner", json!({})),
        1 => (Wire::Responses, "gpt-5", json!({"reasoning": {"effort": "medium", "summary": "auto"}})),
        2 => (
            Wire::Gemini,
            "gemini-2.5-pro",
            json!({"generationConfig": {"thinkingConfig": {"includeThoughts": true}}}),
        ),
        _ => (
            Wire::Anthropic,
            "claude-opus-4-5",
            json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ),
    };
    let mut conversation = Conversation::new(wire, model, SYSTEM, &[]);
    conversation.more = more;
    conversation.say(question);
    conversation.send(None, draw);
    (ANALYST, conversation.finish())
}

/// A question whose answer nobody waits for.
pub(super) fn left_early(draw: &mut Draw) -> (App, Vec<SampleCall>) {
    let (app, mut calls) = chat(draw);
    calls.truncate(1);
    for call in &mut calls {
        call.leave_after = Some(Duration::from_millis(700 + draw.below(900) as u64));
        for (name, value) in &mut call.headers {
            if *name == "x-mock" {
                "delay-head=150ms; chunk-delay=60ms".clone_into(value);
            }
        }
    }
    (app, calls)
}
