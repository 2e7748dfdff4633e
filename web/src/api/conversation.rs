//! An exchange as the conversation it was, in one shape for every dialect.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use verbatim_dialects as dialects;

use crate::error::{ApiError, ErrorBody};
use crate::heavy::heavy;
use crate::reading::load_found;
use crate::state::Shared;

/// What the bytes of an exchange say, in one shape for every dialect.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(crate) struct ConversationBody {
    /// The wire language it was read as.
    #[schema(value_type = String)]
    dialect: &'static str,
    /// Model that was asked for.
    model_asked: Option<String>,
    /// Model that the answer names.
    model_served: Option<String>,
    /// Whether the answer came as a stream.
    streamed: bool,
    /// What else the request set.
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    /// Tools that the model was offered.
    tools: Vec<ToolBody>,
    /// The conversation as it was sent.
    messages: Vec<MessageBody>,
    /// What was answered; most calls have one choice.
    choices: Vec<ChoiceBody>,
    /// What the answer says beside its choices.
    #[schema(value_type = Object)]
    answer_extra: Map<String, Value>,
    /// The error that the provider answered with.
    error: Option<ErrorOfProvider>,
    /// Whether the answer reached its end without an error.
    ended_well: bool,
    /// What was odd, cut or could not be read.
    notes: Vec<String>,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
struct MessageBody {
    /// `system`, `developer`, `user`, `assistant`, `tool`, or another as it was sent.
    role: String,
    /// The speaker's name.
    name: Option<String>,
    /// Its content in order.
    parts: Vec<PartBody>,
}

/// One alternative of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Choice)]
struct ChoiceBody {
    /// Its index.
    index: u64,
    /// Its content in order.
    parts: Vec<PartBody>,
    /// Why the model stopped, as the provider says it.
    finish_reason: Option<String>,
    /// Log probabilities as the provider sent them.
    #[schema(value_type = Option<Object>)]
    logprobs: Option<Value>,
    /// Other keys as they are.
    #[schema(value_type = Object)]
    extra: Map<String, Value>,
}

/// A piece of content.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Part)]
#[serde(tag = "type", rename_all = "snake_case")]
enum PartBody {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// What it cites.
        citations: Vec<CitationBody>,
    },
    /// Reasoning, or a summary of it.
    Reasoning {
        /// Its text; empty where the provider keeps it to itself.
        text: String,
        /// The provider's signature of it.
        signature: Option<String>,
        /// Reasoning that only the provider can read.
        encrypted: Option<String>,
    },
    /// The model declines.
    Refusal {
        /// What it says.
        text: String,
    },
    /// The model calls a tool.
    ToolCall {
        /// The call's id.
        id: Option<String>,
        /// The tool's name.
        name: String,
        /// Its arguments as JSON text, as the model wrote it.
        arguments: String,
        /// Whether the provider ran it itself.
        by_provider: bool,
        /// A signature of the reasoning behind it.
        signature: Option<String>,
    },
    /// What a tool gave back.
    #[schema(no_recursion)]
    ToolResult {
        /// The call that it answers.
        call_id: Option<String>,
        /// The tool's name.
        name: Option<String>,
        /// Its content.
        parts: Vec<PartBody>,
        /// Whether the tool failed.
        is_error: bool,
    },
    /// An image.
    Image(MediaBody),
    /// Sound.
    Audio {
        /// The sound itself.
        #[serde(flatten)]
        media: MediaBody,
        /// The provider's id of it.
        id: Option<String>,
        /// What is said in it.
        transcript: Option<String>,
        /// When the provider forgets it, in seconds since the Unix epoch.
        expires_at: Option<u64>,
    },
    /// A film.
    Video(MediaBody),
    /// A document.
    File(MediaBody),
    /// A kind of block that is not known here, as it is.
    Other {
        /// The block.
        #[schema(value_type = Object)]
        value: Value,
    },
}

/// A source that an answer names.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Citation)]
struct CitationBody {
    /// Its address.
    url: Option<String>,
    /// Its title, or the file's name.
    title: Option<String>,
    /// The words that are cited.
    quote: Option<String>,
    /// The citation as the provider sent it.
    #[schema(value_type = Object)]
    value: Value,
}

/// An image, film or document: where it is or what it holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Media)]
struct MediaBody {
    /// Its media type.
    media_type: Option<String>,
    /// Its address.
    url: Option<String>,
    /// Its bytes in base64.
    data: Option<String>,
    /// The id under which the provider stores it.
    file_id: Option<String>,
    /// Its name.
    file_name: Option<String>,
}

/// A tool that the model was offered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tool)]
struct ToolBody {
    /// Its name.
    name: String,
    /// What it is said to do.
    description: Option<String>,
    /// The schema of its arguments.
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
    /// What else its definition says.
    #[schema(value_type = Object)]
    extra: Map<String, Value>,
}

/// An error as the provider tells it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProviderError)]
struct ErrorOfProvider {
    /// Its kind.
    kind: Option<String>,
    /// Its code.
    code: Option<String>,
    /// The parameter it complains of.
    param: Option<String>,
    /// What it says.
    message: String,
    /// Details as they were sent.
    #[schema(value_type = Option<Object>)]
    details: Option<Value>,
}

impl From<dialects::Media> for MediaBody {
    fn from(media: dialects::Media) -> Self {
        let dialects::Media { media_type, url, data, file_id, name } = media;
        Self { media_type, url, data, file_id, file_name: name }
    }
}

impl From<dialects::Part> for PartBody {
    fn from(part: dialects::Part) -> Self {
        use dialects::Part;
        match part {
            Part::Text(text) => Self::Text {
                text: text.text,
                citations: text
                    .citations
                    .into_iter()
                    .map(|dialects::Citation { url, title, quote, value }| CitationBody {
                        url,
                        title,
                        quote,
                        value,
                    })
                    .collect(),
            },
            Part::Reasoning(dialects::Reasoning { text, signature, encrypted }) => {
                Self::Reasoning { text, signature, encrypted }
            }
            Part::Refusal { text } => Self::Refusal { text },
            Part::ToolCall(call) => Self::ToolCall {
                id: call.id,
                name: call.name,
                arguments: call.arguments,
                by_provider: call.by_provider,
                signature: call.signature,
            },
            Part::ToolResult(result) => Self::ToolResult {
                call_id: result.call_id,
                name: result.name,
                parts: parts(result.parts),
                is_error: result.is_error,
            },
            Part::Image(media) => Self::Image(media.into()),
            Part::Video(media) => Self::Video(media.into()),
            Part::File(media) => Self::File(media.into()),
            Part::Audio(audio) => Self::Audio {
                media: audio.media.into(),
                id: audio.id,
                transcript: audio.transcript,
                expires_at: audio.expires_at,
            },
            Part::Other { value } => Self::Other { value },
        }
    }
}

fn parts(parts: Vec<dialects::Part>) -> Vec<PartBody> {
    parts.into_iter().map(PartBody::from).collect()
}

impl From<dialects::Reading> for ConversationBody {
    fn from(reading: dialects::Reading) -> Self {
        let message = |message: dialects::Message| MessageBody {
            role: message.role.as_str().to_owned(),
            name: message.name,
            parts: parts(message.parts),
        };
        let choice = |choice: dialects::Choice| ChoiceBody {
            index: choice.index,
            parts: parts(choice.parts),
            finish_reason: choice.finish_reason,
            logprobs: choice.logprobs,
            extra: choice.extra,
        };
        let tool = |tool: dialects::ToolDefinition| ToolBody {
            name: tool.name,
            description: tool.description,
            schema: tool.schema,
            extra: tool.extra,
        };
        let error = |error: dialects::ProviderError| ErrorOfProvider {
            kind: error.kind,
            code: error.code,
            param: error.param,
            message: error.message,
            details: error.details,
        };
        Self {
            dialect: reading.dialect.as_str(),
            model_asked: reading.model_asked,
            model_served: reading.model_served,
            streamed: reading.streamed,
            parameters: reading.parameters,
            tools: reading.tools.into_iter().map(tool).collect(),
            messages: reading.messages.into_iter().map(message).collect(),
            choices: reading.answer.choices.into_iter().map(choice).collect(),
            answer_extra: reading.answer.extra,
            error: reading.error.map(error),
            ended_well: reading.ended_well,
            notes: reading.notes,
        }
    }
}

/// The exchange as the conversation it was: messages, tools and the folded answer, in one shape for every dialect.
#[utoipa::path(
    get, path = "/api/v1/exchanges/{id}/conversation", tag = "exchanges",
    params(("id" = String, Path, description = "The exchange's id")),
    responses(
        (status = 200, description = "The conversation", body = ConversationBody),
        (status = 400, description = "That is not an id", body = ErrorBody),
        (status = 404, description = "No such exchange", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_conversation(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = id.parse()?;
    let loaded = load_found(&app.stores, id).await?;
    heavy(&app.stores, move || Json(ConversationBody::from(loaded.reading)).into_response()).await
}
