//! The environment variables that LLM programs read their base URL from.

use std::collections::BTreeMap;

/// A variable that LLM programs read the base URL of a provider from.
#[derive(Debug)]
pub(super) struct BaseUrlVariable {
    pub(super) name: &'static str,
    /// Whose base URL it is.
    pub(super) provider: &'static str,
    /// What programs add to it themselves, before the path of a call.
    pub(super) added: &'static str,
    /// What stands behind the relay's URL, so that the call comes to this provider.
    at_relay: &'static str,
}

const fn variable(
    name: &'static str,
    provider: &'static str,
    added: &'static str,
    at_relay: &'static str,
) -> BaseUrlVariable {
    BaseUrlVariable { name, provider, added, at_relay }
}

/// All of them. Of two that name the same provider, the first that is set counts.
pub(super) const BASE_URLS: &[BaseUrlVariable] = &[
    // openai (Python, Node), Codex up to 0.117, and most that speak its language.
    variable("OPENAI_BASE_URL", "openai", "", "/v1"),
    // openai before 1.0, LangChain, LiteLLM, Aider.
    variable("OPENAI_API_BASE", "openai", "", "/v1"),
    // anthropic (Python, Node), Claude Code; they add /v1/messages.
    variable("ANTHROPIC_BASE_URL", "anthropic", "/v1", ""),
    // LangChain's Anthropic.
    variable("ANTHROPIC_API_URL", "anthropic", "/v1", ""),
    // google-genai (Python, Node), Gemini CLI; they add /v1beta.
    variable("GOOGLE_GEMINI_BASE_URL", "gemini", "/v1beta", ""),
    // ollama (Python, Node, Go) and its command line; a path is kept.
    variable("OLLAMA_HOST", "ollama", "", ""),
    // LangChain's Mistral.
    variable("MISTRAL_BASE_URL", "mistral", "", "/mistral/v1"),
    // groq (Python, Node); they add /openai/v1.
    variable("GROQ_BASE_URL", "groq", "/openai/v1", "/groq"),
    // together (Python, Node).
    variable("TOGETHER_BASE_URL", "together", "", "/together/v1"),
    // LiteLLM and LangChain for DeepSeek and OpenRouter.
    variable("DEEPSEEK_API_BASE", "deepseek", "", "/deepseek/v1"),
    variable("OPENROUTER_API_BASE", "openrouter", "", "/openrouter/v1"),
];

/// The variables that lead a program to the relay, all its calls in one session.
pub(super) fn leading_to(gateway: &str, session: &str) -> BTreeMap<&'static str, String> {
    let base = format!("{}/~{session}", gateway.trim_end_matches('/'));
    BASE_URLS.iter().map(|variable| (variable.name, format!("{base}{}", variable.at_relay))).collect()
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
        assert_eq!(variables["GROQ_BASE_URL"], "http://127.0.0.1:8080/~app-1/groq");
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
