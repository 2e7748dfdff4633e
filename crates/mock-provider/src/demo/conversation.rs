//! A conversation in one of the dialects, with the answers that the mock will give.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::SampleCall;
use crate::answer::Payload;
use crate::call::{Call, RequestBody, seed_of};
use crate::directives::Directives;
use crate::endpoints;
use crate::ledger::Digest;
use crate::random::Draw;
use crate::route::Route;

/// A dialect that holds conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Chat,
    Responses,
    Anthropic,
    Gemini,
    Ollama,
}

/// A tool on offer: name, description, and the name of its only argument.
pub(super) type Tool = (&'static str, &'static str, &'static str);

/// What was said so far.
pub(super) struct Conversation {
    wire: Wire,
    model: &'static str,
    system: &'static str,
    tools: &'static [Tool],
    /// Members of the body beside those that every call has.
    pub(super) more: Value,
    pub(super) stream: bool,
    said: Vec<Value>,
    calls: Vec<SampleCall>,
}

/// A tool that an answer calls: its id and its name.
type ToolCall = (String, String);

impl Conversation {
    pub(super) fn new(wire: Wire, model: &'static str, system: &'static str, tools: &'static [Tool]) -> Self {
        Self {
            wire,
            model,
            system,
            tools,
            more: json!({}),
            stream: true,
            said: Vec::new(),
            calls: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Vec<SampleCall> {
        self.calls
    }

    /// The user says something.
    pub(super) fn say(&mut self, text: &str) {
        self.said.push(match self.wire {
            Wire::Gemini => json!({"role": "user", "parts": [{"text": text}]}),
            _ => json!({"role": "user", "content": text}),
        });
    }

    /// Sends what was said, with a certain tool forced or not; takes the answer in, and returns the tools
    /// that it calls.
    pub(super) fn send(&mut self, forced: Option<&str>, draw: &mut Draw) -> Vec<ToolCall> {
        let (path, body) = (self.path(self.stream), self.body(forced, self.stream));
        let sent = body.to_string();
        let seed = seed_of(&Digest::of(sent.as_bytes()), "");
        self.calls.push(SampleCall {
            method: "POST",
            path,
            headers: headers(self.wire, draw),
            body: sent,
            pause: Duration::from_millis(if self.calls.is_empty() {
                0
            } else {
                300 + draw.below(2500) as u64
            }),
            leave_after: None,
        });
        match self.answer(forced, seed) {
            Some(answer) => self.take_in(&answer),
            None => Vec::new(),
        }
    }

    /// The application returns what its tools did.
    pub(super) fn results(&mut self, calls: &[ToolCall], result: &str) {
        let of = |(id, name): &ToolCall| match self.wire {
            Wire::Chat => json!({"role": "tool", "tool_call_id": id, "content": result}),
            Wire::Responses => json!({"type": "function_call_output", "call_id": id, "output": result}),
            Wire::Anthropic => json!({"type": "tool_result", "tool_use_id": id, "content": result}),
            Wire::Gemini => json!({"functionResponse": {"name": name, "response": {"result": result}}}),
            Wire::Ollama => json!({"role": "tool", "tool_name": name, "content": result}),
        };
        let results: Vec<Value> = calls.iter().map(of).collect();
        match self.wire {
            Wire::Anthropic => self.said.push(json!({"role": "user", "content": results})),
            Wire::Gemini => self.said.push(json!({"role": "user", "parts": results})),
            Wire::Chat | Wire::Responses | Wire::Ollama => self.said.extend(results),
        }
    }

    fn path(&self, stream: bool) -> String {
        match self.wire {
            Wire::Chat => "/v1/chat/completions".to_owned(),
            Wire::Responses => "/v1/responses".to_owned(),
            Wire::Anthropic => "/v1/messages".to_owned(),
            Wire::Gemini if stream => format!("/v1beta/models/{}:streamGenerateContent?alt=sse", self.model),
            Wire::Gemini => format!("/v1beta/models/{}:generateContent", self.model),
            Wire::Ollama => "/api/chat".to_owned(),
        }
    }

    fn body(&self, forced: Option<&str>, stream: bool) -> Value {
        let system = json!({"role": "system", "content": self.system});
        let with_system: Vec<&Value> = [&system].into_iter().chain(&self.said).collect();
        let mut body = match self.wire {
            Wire::Chat => json!({
                "model": self.model, "messages": with_system, "stream": stream,
                "stream_options": stream.then(|| json!({"include_usage": true})),
            }),
            Wire::Responses => json!({
                "model": self.model, "instructions": self.system, "input": self.said, "stream": stream, "store": false,
            }),
            Wire::Anthropic => json!({
                "model": self.model, "max_tokens": 4096, "stream": stream, "messages": self.said,
                "system": [{"type": "text", "text": self.system, "cache_control": {"type": "ephemeral"}}],
            }),
            Wire::Gemini => json!({
                "contents": self.said, "systemInstruction": {"parts": [{"text": self.system}]},
                "generationConfig": {"temperature": 0.7},
            }),
            Wire::Ollama => json!({"model": self.model, "messages": with_system, "stream": stream}),
        };
        if !self.tools.is_empty() {
            self.add_tools(&mut body, forced);
        }
        for (key, value) in self.more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        body
    }

    fn add_tools(&self, body: &mut Value, forced: Option<&str>) {
        let declare = |(name, description, argument): &Tool| {
            let mut properties = json!({});
            properties[*argument] = json!({"type": "string"});
            let schema = json!({"type": "object", "properties": properties, "required": [argument]});
            match self.wire {
                Wire::Chat | Wire::Ollama => json!({"type": "function", "function": {
                    "name": name, "description": description, "parameters": schema,
                }}),
                Wire::Responses => json!({
                    "type": "function", "name": name, "description": description, "parameters": schema,
                }),
                Wire::Anthropic => json!({"name": name, "description": description, "input_schema": schema}),
                Wire::Gemini => {
                    json!({"name": name, "description": description, "parametersJsonSchema": schema})
                }
            }
        };
        let tools: Vec<Value> = self.tools.iter().map(declare).collect();
        body["tools"] = match self.wire {
            Wire::Gemini => json!([{"functionDeclarations": tools}]),
            _ => tools.into(),
        };
        let Some(name) = forced else { return };
        match self.wire {
            Wire::Chat => body["tool_choice"] = json!({"type": "function", "function": {"name": name}}),
            Wire::Responses => body["tool_choice"] = json!({"type": "function", "name": name}),
            Wire::Anthropic => body["tool_choice"] = json!({"type": "tool", "name": name}),
            Wire::Gemini => {
                let config = json!({"mode": "ANY", "allowedFunctionNames": [name]});
                body["toolConfig"] = json!({"functionCallingConfig": config});
            }
            Wire::Ollama => {}
        }
    }

    /// What the mock answers to the body of that seed: a stream says the same as a whole answer does.
    fn answer(&self, forced: Option<&str>, seed: u64) -> Option<Value> {
        let request = http::Request::post(self.path(false)).body(()).ok()?;
        let head = request.into_parts().0;
        let body = RequestBody::Whole(Bytes::from(self.body(forced, false).to_string()));
        let call = Call { head: &head, body: &body, directives: &Directives::default(), seed, id: "" };
        match endpoints::answer(&Route::of(&head), &call).payload {
            Payload::Whole(bytes) => serde_json::from_slice(&bytes).ok(),
            Payload::Frames(_) | Payload::Random(_) | Payload::Echo => None,
        }
    }

    /// Adds an answer to what was said.
    fn take_in(&mut self, answer: &Value) -> Vec<ToolCall> {
        let of = |items: &Value, id: &str, name: fn(&Value) -> &Value| -> Vec<ToolCall> {
            let named = items.as_array().into_iter().flatten().filter(|item| name(item).is_string());
            named.map(|item| (text(&item[id]), text(name(item)))).collect()
        };
        match self.wire {
            Wire::Chat => {
                let message = &answer["choices"][0]["message"];
                self.said.push(message.clone());
                of(&message["tool_calls"], "id", |call| &call["function"]["name"])
            }
            Wire::Responses => {
                self.said.extend(answer["output"].as_array().into_iter().flatten().cloned());
                of(&answer["output"], "call_id", |item| &item["name"])
            }
            Wire::Anthropic => {
                self.said.push(json!({"role": "assistant", "content": answer["content"]}));
                of(&answer["content"], "id", |block| &block["name"])
            }
            Wire::Gemini => {
                let content = &answer["candidates"][0]["content"];
                self.said.push(content.clone());
                of(&content["parts"], "", |part| &part["functionCall"]["name"])
            }
            Wire::Ollama => {
                self.said.push(answer["message"].clone());
                of(&answer["message"]["tool_calls"], "", |call| &call["function"]["name"])
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The headers that a dialect's clients send, with how fast the mock is to answer.
pub(super) fn headers(wire: Wire, draw: &mut Draw) -> Vec<(&'static str, String)> {
    let pace = format!("delay-head={}ms; chunk-delay={}ms", 80 + draw.below(900), 6 + draw.below(24));
    let mut headers = vec![("content-type", "application/json".to_owned()), ("x-mock", pace)];
    match wire {
        Wire::Chat | Wire::Responses => headers.push(("authorization", "Bearer sk-demo-openai".to_owned())),
        Wire::Anthropic => {
            headers.push(("x-api-key", "sk-ant-demo".to_owned()));
            headers.push(("anthropic-version", "2023-06-01".to_owned()));
        }
        Wire::Gemini => headers.push(("x-goog-api-key", "demo-gemini".to_owned())),
        Wire::Ollama => {}
    }
    headers
}
