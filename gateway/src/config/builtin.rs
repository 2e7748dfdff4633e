//! The providers that need no configuration.

use verbatim_core::model::ProviderDialect;
use verbatim_core::model::ProviderDialect::{Anthropic, Gemini, Ollama, Openai};

use super::{BaseUrl, Provider};

/// A well-known provider.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// The wire language it speaks.
    pub dialect: ProviderDialect,
    /// Where it is, as its documentation says.
    pub base_url: &'static str,
    /// The environment variables that usually hold its credential; the first that is set counts.
    pub key_variables: &'static [&'static str],
}

const fn builtin(
    name: &'static str,
    dialect: ProviderDialect,
    base_url: &'static str,
    key_variables: &'static [&'static str],
) -> Builtin {
    Builtin { name, dialect, base_url, key_variables }
}

const BUILTIN: &[Builtin] = &[
    builtin("openai", Openai, "https://api.openai.com/v1", &["OPENAI_API_KEY"]),
    builtin("anthropic", Anthropic, "https://api.anthropic.com/v1", &["ANTHROPIC_API_KEY"]),
    builtin(
        "gemini",
        Gemini,
        "https://generativelanguage.googleapis.com/v1beta",
        &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    ),
    builtin("openrouter", Openai, "https://openrouter.ai/api/v1", &["OPENROUTER_API_KEY"]),
    builtin("ollama", Ollama, "http://127.0.0.1:11434", &["OLLAMA_API_KEY"]),
    builtin("deepseek", Openai, "https://api.deepseek.com/v1", &["DEEPSEEK_API_KEY"]),
    builtin("mistral", Openai, "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"]),
    builtin("groq", Openai, "https://api.groq.com/openai/v1", &["GROQ_API_KEY"]),
    builtin("xai", Openai, "https://api.x.ai/v1", &["XAI_API_KEY"]),
    builtin("together", Openai, "https://api.together.xyz/v1", &["TOGETHER_API_KEY"]),
    builtin("fireworks", Openai, "https://api.fireworks.ai/inference/v1", &["FIREWORKS_API_KEY"]),
    builtin("perplexity", Openai, "https://api.perplexity.ai", &["PERPLEXITY_API_KEY", "PPLX_API_KEY"]),
    builtin("cohere", Openai, "https://api.cohere.ai/compatibility/v1", &["COHERE_API_KEY", "CO_API_KEY"]),
    builtin("dashscope", Openai, "https://dashscope.aliyuncs.com/compatible-mode/v1", &["DASHSCOPE_API_KEY"]),
    builtin("moonshot", Openai, "https://api.moonshot.cn/v1", &["MOONSHOT_API_KEY"]),
    builtin("zhipu", Openai, "https://open.bigmodel.cn/api/paas/v4", &["ZHIPUAI_API_KEY", "ZHIPU_API_KEY"]),
    builtin("siliconflow", Openai, "https://api.siliconflow.cn/v1", &["SILICONFLOW_API_KEY"]),
    builtin("huggingface", Openai, "https://router.huggingface.co/v1", &["HF_TOKEN", "HUGGINGFACE_API_KEY"]),
    builtin("nvidia", Openai, "https://integrate.api.nvidia.com/v1", &["NVIDIA_API_KEY"]),
    builtin("cerebras", Openai, "https://api.cerebras.ai/v1", &["CEREBRAS_API_KEY"]),
    builtin("sambanova", Openai, "https://api.sambanova.ai/v1", &["SAMBANOVA_API_KEY"]),
    builtin("deepinfra", Openai, "https://api.deepinfra.com/v1/openai", &["DEEPINFRA_API_KEY"]),
    builtin("zai", Openai, "https://api.z.ai/api/paas/v4", &["ZAI_API_KEY"]),
    builtin("minimax", Openai, "https://api.minimax.io/v1", &["MINIMAX_API_KEY"]),
    builtin("voyage", Openai, "https://api.voyageai.com/v1", &["VOYAGE_API_KEY"]),
];

impl Builtin {
    /// It as a provider, without a credential.
    pub fn provider(&self) -> Provider {
        let base_url = BaseUrl::parse(self.base_url).expect("a test reads every built-in base URL");
        let mut provider = Provider::new(self.name, self.dialect, base_url);
        // Its API has no version prefix at all (docs.perplexity.ai: POST /chat/completions).
        provider.replaces_v1 |= self.name == "perplexity";
        provider.is_builtin = true;
        provider
    }
}

/// The well-known providers.
pub const fn builtin_providers() -> &'static [Builtin] {
    BUILTIN
}

/// The well-known provider of this name.
pub fn builtin_provider(name: &str) -> Option<Provider> {
    BUILTIN.iter().find(|builtin| builtin.name == name).map(Builtin::provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_provider_is_valid_and_named_once() {
        for (index, builtin) in BUILTIN.iter().enumerate() {
            assert_eq!(builtin.provider().validate(), Ok(()), "{}", builtin.name);
            assert!(!BUILTIN[..index].iter().any(|other| other.name == builtin.name), "{}", builtin.name);
            assert!(!builtin.key_variables.is_empty(), "{}", builtin.name);
        }
    }
}
