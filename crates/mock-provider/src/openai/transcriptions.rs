//! `POST /audio/transcriptions`.

use http::StatusCode;
use serde_json::json;

use super::EVENT_STREAM;
use crate::answer::{Answer, Payload};
use crate::call::Call;
use crate::compose::{Prompt, Reply, pieces};
use crate::errors::error;
use crate::multipart::Form;
use crate::route::Dialect;
use crate::sse::EventStream;

/// "Hears" words that belong to the file: a sentence in the language of the form's `prompt`.
pub(crate) fn transcriptions(call: &Call<'_>) -> Answer {
    let wrong = |message: &str| error(Dialect::OpenAi, StatusCode::BAD_REQUEST, message, call);
    let form = match Form::read(call) {
        Ok(form) => form,
        Err(message) => return wrong(&message),
    };
    let Some((name, bytes)) = form.file() else { return wrong("Missing required parameter: 'file'.") };
    let seconds = (bytes / 16_000).max(1);
    let mut prompt = Prompt::default();
    prompt.user(form.text("prompt").unwrap_or(name).to_owned());
    let text = Reply::to(&prompt, call.seed, call.directives).text;
    if form.text("stream") == Some("true") {
        let mut events = EventStream::new(call.directives);
        let mut push =
            |event: serde_json::Value| events.event(event["type"].as_str(), event.to_string().as_bytes());
        for delta in pieces(&text, call.directives.chunks) {
            push(json!({"type": "transcript.text.delta", "delta": delta}));
        }
        push(json!({"type": "transcript.text.done", "text": text}));
        events.done();
        return events.finish(EVENT_STREAM);
    }
    match form.text("response_format").unwrap_or("json") {
        "text" => Answer::new("text/plain; charset=utf-8", Payload::Whole(format!("{text}\n").into_bytes())),
        "verbose_json" => Answer::value(&json!({
            "task": "transcribe", "language": "english", "duration": seconds, "text": text,
            "segments": [{
                "id": 0, "seek": 0, "start": 0.0, "end": seconds, "text": text, "tokens": [], "temperature": 0.0,
                "avg_logprob": -0.2, "compression_ratio": 1.2, "no_speech_prob": 0.01,
            }],
        })),
        _ => Answer::value(&json!({"text": text, "usage": {"type": "duration", "seconds": seconds}})),
    }
}
