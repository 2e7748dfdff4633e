//! A generated conversation of an agent: a long system prompt, and each turn sends everything so far again.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Turns of the conversation.
pub(crate) const TURNS: usize = 60;

/// The bodies of the requests of a conversation, in order. The same `seed` gives the same words.
pub(crate) fn requests(seed: u64) -> Vec<String> {
    let mut words = Words(seed);
    let mut messages = vec![json!({"role": "system", "content": words.text(10_000)})];
    let tools: Vec<Value> = (0..12)
        .map(|tool| {
            json!({"type": "function", "function": {"name": format!("tool_{tool}"), "description": words.text(300),
                "parameters": {"type": "object", "properties": {"path": {"type": "string"}, "text": {"type": "string"}}}}})
        })
        .collect();
    (0..TURNS)
        .map(|turn| {
            if turn % 6 == 0 {
                messages.push(json!({"role": "user", "content": words.text(400)}));
            } else {
                let length = 2_000 + words.next() as usize % 6_000;
                messages.push(json!({"role": "tool", "tool_call_id": format!("call_{turn}"), "content": words.text(length)}));
            }
            let body = json!({"model": "gpt-4o", "messages": messages, "tools": tools, "temperature": 0.2}).to_string();
            messages.push(json!({"role": "assistant", "content": words.text(300), "tool_calls": [{"id": format!("call_{}", turn + 1),
                "type": "function", "function": {"name": "tool_3", "arguments": json!({"path": words.text(40)}).to_string()}}]}));
            body
        })
        .collect()
}

/// Text like a program's output: words with numbers, no word list repeated verbatim.
struct Words(u64);

impl Words {
    fn next(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn text(&mut self, length: usize) -> String {
        const SYLLABLES: &[&str] = &[
            "ka", "ro", "mi", "ten", "sol", "ver", "ba", "tim", "lo", "gar", "pe", "nu", "shi", "dor", "el",
            "fa",
        ];
        let mut text = String::with_capacity(length + 16);
        while text.len() < length {
            let random = self.next();
            for at in 0..=(random % 3) {
                text.push_str(SYLLABLES[(random >> (8 + at * 4)) as usize % SYLLABLES.len()]);
            }
            if random.is_multiple_of(11) {
                let _ = write!(text, " {}", random >> 40);
            }
            text.push(if random.is_multiple_of(17) { '\n' } else { ' ' });
        }
        text.truncate(length);
        text
    }
}
