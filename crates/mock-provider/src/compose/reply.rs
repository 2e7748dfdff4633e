//! The answer: text, reasoning, tool calls, usage.

use super::corpus::corpus;
use super::language::{Language, is_cjk};
use super::prompt::Prompt;
use super::schema::example;
use super::tokens::tokens;
use crate::directives::{Directives, Finish};
use crate::random::Draw;

/// What a model answers, whatever the dialect.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Reasoning before the answer; empty where there is none.
    pub(crate) thinking: String,
    pub(crate) text: String,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) finish: Finish,
    pub(crate) usage: Usage,
}

/// A tool that is to be called.
#[derive(Debug)]
pub(crate) struct ToolCall {
    /// Letters and digits, to be prefixed as the dialect does.
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON.
    pub(crate) arguments: String,
}

/// Tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// All input, cached tokens included.
    pub(crate) input: u64,
    pub(crate) cached: u64,
    /// All output, reasoning included.
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

/// Prompts shorter than this are not cached, and cached tokens come in such steps (OpenAI, prompt caching).
const CACHED_FROM: u64 = 1024;
const CACHED_STEP: u64 = 128;

impl Reply {
    /// The answer to a prompt: the same for the same seed.
    pub(crate) fn to(prompt: &Prompt, seed: u64, directives: &Directives) -> Self {
        let mut draw = Draw::new(seed);
        let language = Language::of(&prompt.asked);
        let topic = topic(&prompt.asked, language);
        let words: Vec<String> = topic.clone();
        let subject = subject(&topic, language);
        let corpus = corpus(language);

        let mut thinking = String::new();
        if prompt.thinks && prompt.tool_result.is_none() {
            thinking = draw.pick(corpus.thoughts).unwrap_or_default().replace("{}", &subject);
        }
        let calls: Vec<ToolCall> = prompt
            .called()
            .into_iter()
            .map(|tool| ToolCall {
                id: draw.letters(24),
                name: tool.name.clone(),
                arguments: match example(&tool.schema, &words, &mut draw) {
                    serde_json::Value::Null => "{}".to_owned(),
                    arguments => arguments.to_string(),
                },
            })
            .collect();
        let mut text = match (&prompt.schema, &prompt.tool_result) {
            _ if !calls.is_empty() => String::new(),
            (Some(serde_json::Value::Null), _) => serde_json::json!({"answer": subject}).to_string(),
            (Some(schema), _) => example(schema, &words, &mut draw).to_string(),
            (None, Some(result)) => {
                let opening = draw.pick(corpus.after_tool).unwrap_or_default();
                let result: String = result.chars().take(400).collect();
                format!(
                    "{opening} {result}{}{}",
                    corpus.space,
                    draw.pick(corpus.sentences).unwrap_or_default()
                )
            }
            (None, None) => {
                let mut text = draw.pick(corpus.openings).unwrap_or_default().replace("{}", &subject);
                let first = draw.below(corpus.sentences.len());
                let sentences = corpus.sentences.iter().cycle().skip(first);
                for sentence in sentences.take(3 + draw.below(3)) {
                    text.push_str(corpus.space);
                    text.push_str(sentence);
                }
                text
            }
        };
        let mut finish = if calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
        let structured = prompt.schema.is_some() || !calls.is_empty();
        if let Some(size) =
            directives.size.and_then(|size| usize::try_from(size).ok()).filter(|_| !structured)
        {
            stretch(&mut text, size, corpus.sentences, corpus.space, &mut draw);
        } else if let Some(limit) = prompt.limit
            && tokens(&text) > limit
            && !structured
        {
            truncate(&mut text, limit);
            finish = Finish::Length;
        }
        let chunks = directives.chunks.unwrap_or_default();
        if chunks > text.len() && !structured {
            stretch(&mut text, chunks * 4, corpus.sentences, corpus.space, &mut draw);
        }

        let reasoning = tokens(&thinking);
        let called: u64 = calls.iter().map(|call| 4 + tokens(&call.name) + tokens(&call.arguments)).sum();
        let cached = match prompt.earlier_tokens {
            earlier if earlier >= CACHED_FROM => earlier / CACHED_STEP * CACHED_STEP,
            _ => 0,
        };
        let usage = Usage {
            input: prompt.input_tokens.max(1),
            cached,
            output: (reasoning + tokens(&text) + called).max(1),
            reasoning,
        };
        Self { thinking, text, calls, finish: directives.finish.unwrap_or(finish), usage }
    }
}

/// Adds sentences until the text has so many bytes; cut to it where that is between two characters.
fn stretch(text: &mut String, size: usize, sentences: &[&'static str], space: &str, draw: &mut Draw) {
    text.reserve(size.saturating_sub(text.len()) + 256);
    while text.len() < size {
        text.push_str(space);
        text.push_str(draw.pick(sentences).unwrap_or("."));
    }
    let end = (size..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    text.truncate(end);
}

/// Shortens a text to so many tokens.
fn truncate(text: &mut String, limit: u64) {
    let mut kept = 0;
    for (start, character) in text.char_indices() {
        let end = start + character.len_utf8();
        if tokens(&text[..end]) > limit {
            break;
        }
        kept = end;
    }
    text.truncate(kept);
}

/// A question is looked at no further than this.
const LOOKED_AT: usize = 2000;

/// The words of a question that an answer takes up: the longer words, or stretches of a script without spaces.
fn topic(asked: &str, language: Language) -> Vec<String> {
    const COMMON: &[&str] = &[
        "about", "could", "does", "from", "have", "how", "please", "tell", "that", "the", "there", "this",
        "what", "when", "where", "which", "with", "would", "your",
    ];
    const MOST: usize = 4;
    let looked_at =
        (0..=asked.len().min(LOOKED_AT)).rev().find(|end| asked.is_char_boundary(*end)).unwrap_or(0);
    let asked = &asked[..looked_at];
    if language == Language::English {
        let words = asked.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
        let long = |word: &&str| word.len() > 3 && !COMMON.contains(&word.to_ascii_lowercase().as_str());
        return words.filter(long).take(MOST).map(str::to_owned).collect();
    }
    let runs = asked.split(|c: char| !is_cjk(c) && !c.is_alphanumeric());
    runs.map(without_question_words).filter(|run| !run.is_empty()).take(MOST).collect()
}

/// What a stretch of Chinese, Japanese or Korean is about, cut to a length that fits into a sentence.
fn without_question_words(run: &str) -> String {
    const COMMON: &[&str] = &[
        "什么是",
        "是什么",
        "请问",
        "请",
        "如何",
        "怎么",
        "为什么",
        "とは何ですか",
        "とは",
        "について",
        "ください",
        "教えて",
        "무엇인가요",
        "이란",
        "란",
    ];
    const LONGEST: usize = 16;
    let mut rest = run.to_owned();
    for word in COMMON {
        if rest.len() > word.len() {
            rest = rest.replace(word, "");
        }
    }
    rest.chars().take(LONGEST).collect()
}

/// The topic within a sentence.
fn subject(topic: &[String], language: Language) -> String {
    match (topic, language) {
        ([], Language::English) => "this".to_owned(),
        ([], Language::Chinese) => "这个问题".to_owned(),
        ([], Language::Japanese) => "ご質問".to_owned(),
        ([], Language::Korean) => "질문".to_owned(),
        ([only], _) => only.clone(),
        (words, Language::English) => match words.split_last() {
            Some((last, before)) => format!("{} and {last}", before.join(", ")),
            None => String::new(),
        },
        (words, Language::Chinese) => format!("“{}”", words[0]),
        (words, Language::Japanese) => format!("「{}」", words[0]),
        (words, Language::Korean) => words[..2].join(" "),
    }
}

/// No stream gets more deltas than this unless it asks for them.
const MOST_PIECES: usize = 2000;

/// Cuts a text into the deltas of a stream: about as tokens would, or into exactly `chunks`.
pub(crate) fn pieces(text: &str, chunks: Option<usize>) -> Vec<&str> {
    let least = match chunks {
        Some(chunks) => return even_pieces(text, chunks),
        None => text.len() / MOST_PIECES,
    };
    let mut pieces = Vec::with_capacity(text.len() / 4);
    let mut start = 0;
    let mut previous = ' ';
    for (at, character) in text.char_indices() {
        let boundary = character == ' ' || is_cjk(character) || is_cjk(previous);
        // Two ideographs to a delta look like what tokenizers do.
        let enough = at - start >= least.max(if is_cjk(previous) { 4 } else { 1 });
        if at > start && boundary && enough {
            pieces.push(&text[start..at]);
            start = at;
        }
        previous = character;
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

fn even_pieces(text: &str, chunks: usize) -> Vec<&str> {
    let mut pieces = Vec::with_capacity(chunks);
    let mut start = 0;
    for chunk in 1..=chunks {
        let wanted =
            usize::try_from(text.len() as u128 * chunk as u128 / chunks.max(1) as u128).unwrap_or(text.len());
        let end =
            (wanted..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len()).max(start);
        pieces.push(&text[start..end]);
        start = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Prompt {
        let mut prompt = Prompt::default();
        prompt.user(text.to_owned());
        prompt
    }

    #[test]
    fn answers_in_the_questions_language_with_its_words() {
        for (question, word) in [
            ("What is ownership in Rust?", "ownership"),
            ("什么是分布式数据库？", "数据库"),
            ("データベースとは何ですか", "データベース"),
            ("데이터베이스란 무엇인가요", "데이터베이스"),
        ] {
            let reply = Reply::to(&asked(question), 7, &Directives::default());
            assert!(reply.text.contains(word), "{question}: {}", reply.text);
            assert_eq!(Language::of(&reply.text), Language::of(question));
            assert_eq!(reply.text, Reply::to(&asked(question), 7, &Directives::default()).text);
            assert_eq!(pieces(&reply.text, None).concat(), reply.text);
        }
    }

    #[test]
    fn makes_as_much_text_and_as_many_pieces_as_asked() {
        let directives = Directives::parse("size=100000; chunks=5000").unwrap();
        for question in ["What?", "日本語で答えてください"] {
            let reply = Reply::to(&asked(question), 3, &directives);
            assert!((100_000..100_004).contains(&reply.text.len()));
            let pieces = pieces(&reply.text, directives.chunks);
            assert_eq!(pieces.len(), 5000);
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
            assert_eq!(pieces.concat(), reply.text);
        }
        let many = Directives::parse("chunks=5000").unwrap();
        let reply = Reply::to(&asked("日本語で答えてください"), 3, &many);
        assert!(pieces(&reply.text, many.chunks).iter().all(|piece| !piece.is_empty()));
    }

    #[test]
    fn stops_at_the_limit() {
        let mut prompt = asked("Tell me everything about databases");
        prompt.limit = Some(5);
        let reply = Reply::to(&prompt, 1, &Directives::default());
        assert_eq!(reply.finish, Finish::Length);
        assert!(tokens(&reply.text) <= 5);
    }

    #[test]
    fn a_long_conversation_is_partly_cached() {
        let mut prompt = asked(&"word ".repeat(2000));
        prompt.assistant("Yes.");
        prompt.user("And then?".to_owned());
        let usage = Reply::to(&prompt, 1, &Directives::default()).usage;
        assert!(usage.cached > 2000 && usage.cached < usage.input);
    }
}
