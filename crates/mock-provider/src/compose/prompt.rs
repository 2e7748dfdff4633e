//! A request, read out of whichever dialect it came in.

use serde_json::Value;

use super::tokens::tokens;

/// What a model is asked, whatever the dialect.
#[derive(Debug, Default)]
pub(crate) struct Prompt {
    /// The last thing the user said.
    pub(crate) asked: String,
    /// The result of a tool, where that is the last message.
    pub(crate) tool_result: Option<String>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: ToolChoice,
    /// The JSON schema that the answer must follow; null for any JSON object.
    pub(crate) schema: Option<Value>,
    /// Whether reasoning comes before the answer.
    pub(crate) thinks: bool,
    /// The most output tokens.
    pub(crate) limit: Option<u64>,
    /// Tokens of everything that was said.
    pub(crate) input_tokens: u64,
    /// Of these, the tokens before the last message.
    pub(crate) earlier_tokens: u64,
}

/// A tool that the model may call.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// The JSON schema of its arguments.
    pub(crate) schema: Value,
}

/// Whether tools are called.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    /// As the question suggests.
    #[default]
    Auto,
    None,
    /// At least one.
    Required,
    Named(String),
}

/// What a message costs beside its text, as OpenAI's cookbook counts it.
const TOKENS_A_MESSAGE: u64 = 4;

impl Prompt {
    /// One more message was said, with so much text in it; its length counts even where the text is not kept.
    pub(crate) fn said(&mut self, text: &str) {
        self.earlier_tokens = self.input_tokens;
        self.input_tokens += TOKENS_A_MESSAGE + tokens(text);
    }

    /// The user said this.
    pub(crate) fn user(&mut self, text: String) {
        self.said(&text);
        self.tool_result = None;
        self.asked = text;
    }

    /// The model said this before.
    pub(crate) fn assistant(&mut self, text: &str) {
        self.said(text);
        self.tool_result = None;
    }

    /// A tool returned this.
    pub(crate) fn tool(&mut self, text: String) {
        self.said(&text);
        self.tool_result = Some(text);
    }

    /// A tool is offered.
    pub(crate) fn offer(&mut self, name: &str, schema: Option<&Value>) {
        let schema = schema.cloned().unwrap_or_default();
        self.input_tokens += TOKENS_A_MESSAGE + tokens(name) + tokens(&schema.to_string());
        self.tools.push(Tool { name: name.to_owned(), schema });
    }

    /// The tools that this question has called: none after a tool's result, what is forced, or those whose
    /// names share a word with the question.
    pub(crate) fn called(&self) -> Vec<&Tool> {
        if self.tool_result.is_some() && matches!(self.choice, ToolChoice::Auto) {
            return Vec::new();
        }
        let fits = |tool: &&Tool| asks_for(&self.asked, &tool.name);
        match &self.choice {
            ToolChoice::None => Vec::new(),
            ToolChoice::Named(name) => self.tools.iter().filter(|tool| tool.name == *name).take(1).collect(),
            ToolChoice::Auto => self.tools.iter().filter(fits).collect(),
            ToolChoice::Required => {
                let fitting: Vec<_> = self.tools.iter().filter(fits).collect();
                if fitting.is_empty() { self.tools.iter().take(1).collect() } else { fitting }
            }
        }
    }
}

/// Whether a question asks for a tool: it has one of the words of its name in it, or speaks of tools.
fn asks_for(question: &str, name: &str) -> bool {
    const SHORTEST_WORD: usize = 4;
    let question = question.to_lowercase();
    ["tool", "工具", "ツール", "도구"].iter().any(|word| question.contains(word))
        || words_of_name(name).any(|word| word.len() >= SHORTEST_WORD && question.contains(&word))
}

/// `get_weather`, `getWeather` and `get-weather` all have the words `get` and `weather`.
fn words_of_name(name: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    for character in name.chars() {
        if !character.is_alphanumeric() {
            words.push(String::new());
            continue;
        }
        if character.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(character.to_lowercase());
        }
    }
    words.into_iter().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(asked: &str, choice: ToolChoice) -> Prompt {
        let mut prompt = Prompt { choice, ..Prompt::default() };
        prompt.offer("get_weather", None);
        prompt.offer("searchFlights", None);
        prompt.user(asked.to_owned());
        prompt
    }

    fn names(prompt: &Prompt) -> Vec<&str> {
        prompt.called().into_iter().map(|tool| tool.name.as_str()).collect()
    }

    #[test]
    fn a_question_calls_the_tools_it_speaks_of() {
        assert_eq!(names(&prompt("How is the weather?", ToolChoice::Auto)), ["get_weather"]);
        assert_eq!(
            names(&prompt("Flights and the weather", ToolChoice::Auto)),
            ["get_weather", "searchFlights"]
        );
        assert_eq!(names(&prompt("请用工具回答", ToolChoice::Auto)).len(), 2);
        assert!(names(&prompt("Hello", ToolChoice::Auto)).is_empty());
        assert!(names(&prompt("How is the weather?", ToolChoice::None)).is_empty());
        assert_eq!(names(&prompt("Hello", ToolChoice::Required)), ["get_weather"]);
        assert_eq!(names(&prompt("Hello", ToolChoice::Named("searchFlights".to_owned()))), ["searchFlights"]);
    }

    #[test]
    fn a_tools_result_is_answered_with_words() {
        let mut prompt = prompt("How is the weather?", ToolChoice::Auto);
        prompt.assistant("");
        prompt.tool("sunny".to_owned());
        assert!(names(&prompt).is_empty());
    }
}
