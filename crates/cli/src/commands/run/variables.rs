//! The environment variables that LLM programs read their base URL from.

use std::collections::BTreeMap;

/// What of the relay's URL a program wants.
#[derive(Debug, Clone, Copy)]
enum Suffix {
    /// It adds the version itself.
    None,
    /// The version is part of the base URL.
    V1,
    /// A provider of its own beside the one that the path would choose; it adds the version itself.
    Provider(&'static str),
    /// The same, with the version.
    ProviderV1(&'static str),
}

/// Variables, and who reads them.
const VARIABLES: &[(&str, Suffix)] = &[
    // openai (Python, Node), Codex up to 0.117, and most that speak its language.
    ("OPENAI_BASE_URL", Suffix::V1),
    // openai before 1.0, LangChain, LiteLLM, Aider.
    ("OPENAI_API_BASE", Suffix::V1),
    // anthropic (Python, Node), Claude Code; they add /v1/messages.
    ("ANTHROPIC_BASE_URL", Suffix::None),
    // LangChain's Anthropic.
    ("ANTHROPIC_API_URL", Suffix::None),
    // google-genai (Python, Node), Gemini CLI; they add /v1beta.
    ("GOOGLE_GEMINI_BASE_URL", Suffix::None),
    // ollama (Python, Node, Go) and its command line; a path is kept.
    ("OLLAMA_HOST", Suffix::None),
    // LangChain's Mistral.
    ("MISTRAL_BASE_URL", Suffix::ProviderV1("mistral")),
    // groq (Python, Node); they add /openai/v1.
    ("GROQ_BASE_URL", Suffix::Provider("groq")),
    // together (Python, Node).
    ("TOGETHER_BASE_URL", Suffix::ProviderV1("together")),
    // LiteLLM and LangChain for DeepSeek and OpenRouter.
    ("DEEPSEEK_API_BASE", Suffix::ProviderV1("deepseek")),
    ("OPENROUTER_API_BASE", Suffix::ProviderV1("openrouter")),
];

/// The variables that lead a program to the relay, all its calls in one session.
pub(super) fn leading_to(gateway: &str, session: &str) -> BTreeMap<&'static str, String> {
    let base = format!("{}/~{session}", gateway.trim_end_matches('/'));
    let value = |suffix| match suffix {
        Suffix::None => base.clone(),
        Suffix::V1 => format!("{base}/v1"),
        Suffix::Provider(name) => format!("{base}/{name}"),
        Suffix::ProviderV1(name) => format!("{base}/{name}/v1"),
    };
    VARIABLES.iter().map(|(name, suffix)| (*name, value(*suffix))).collect()
}

/// The exceptions to a proxy, with this machine among them: a proxy elsewhere can't reach a relay here.
pub(super) fn without_proxy(before: Option<&str>) -> String {
    let mut exceptions: Vec<&str> =
        before.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    for host in ["127.0.0.1", "localhost", "::1"] {
        if !exceptions.contains(&host) {
            exceptions.push(host);
        }
    }
    exceptions.join(",")
}

/// Arguments that a program needs beside the variables, to stand before its own.
pub(super) fn arguments(program: &str, gateway: &str, session: &str) -> Vec<String> {
    // Codex from 0.118 on reads its configuration only.
    if program == "codex" {
        let base = format!("{}/~{session}/v1", gateway.trim_end_matches('/'));
        return vec!["--config".into(), format!("openai_base_url=\"{base}\"")];
    }
    Vec::new()
}

/// A session's name for a program: readable, unique, and fit for a path.
pub(super) fn session(program: &str, unique: u32) -> String {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = program.chars().filter(|c| fit(*c)).take(32).collect();
    let name = name.trim_matches('.');
    format!("{}-{unique:08x}", if name.is_empty() { "run" } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_gets_the_base_url_that_it_completes_itself() {
        let variables = leading_to("http://127.0.0.1:8080", "app-1");
        assert_eq!(variables["OPENAI_BASE_URL"], "http://127.0.0.1:8080/~app-1/v1");
        assert_eq!(variables["ANTHROPIC_BASE_URL"], "http://127.0.0.1:8080/~app-1");
        assert_eq!(variables["GOOGLE_GEMINI_BASE_URL"], "http://127.0.0.1:8080/~app-1");
        assert_eq!(variables["DEEPSEEK_API_BASE"], "http://127.0.0.1:8080/~app-1/deepseek/v1");
    }

    #[test]
    fn a_session_is_fit_for_a_path() {
        assert_eq!(session("app.py", 10), "app.py-0000000a");
        assert_eq!(session("weird name/✓", 1), "weirdname-00000001");
        assert_eq!(session("..", 1), "run-00000001");
    }

    #[test]
    fn a_proxy_is_passed_by_for_this_machine() {
        assert_eq!(without_proxy(None), "127.0.0.1,localhost,::1");
        assert_eq!(without_proxy(Some("corp.example, localhost")), "corp.example,localhost,127.0.0.1,::1");
    }
}
