//! A message of the log as a message of NATS.

use std::borrow::Cow;

use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{Message, MessageKind};

/// The header that names the exchange.
pub(crate) const EXCHANGE: HeaderName = HeaderName::from_static("Verbatim-Exchange");

/// Everything that a subject's token, a person and a shell take as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// A server takes control lines of 4 KiB; half of that is left to inboxes and acknowledgements.
const LONGEST_TOKEN: usize = 2048;
/// Stands for a name without a character.
const EMPTY: &str = "%";

/// A gateway's name as a token of a subject; `None` for one that is too long.
pub(crate) fn gateway_token(gateway: &str) -> Option<String> {
    let token = match gateway {
        "" => EMPTY.to_owned(),
        named => utf8_percent_encode(named, ESCAPED).to_string(),
    };
    (token.len() <= LONGEST_TOKEN).then_some(token)
}

/// The name behind a token; `None` where no gateway's name becomes that token.
pub(crate) fn gateway_of(token: &str) -> Option<String> {
    if token == EMPTY {
        return Some(String::new());
    }
    let name = percent_decode_str(token).decode_utf8().ok().map(Cow::into_owned)?;
    (!name.is_empty() && gateway_token(&name)? == token).then_some(name)
}

/// Where a message is published; `None` where its gateway's name is too long.
pub(crate) fn subject(message: &Message) -> Option<String> {
    let token = gateway_token(&message.gateway)?;
    Some(format!("cap.{}.{token}.{:02x}", message.kind.as_str(), message.exchange.shard()))
}

/// The headers that go with a message.
pub(crate) fn headers(exchange: ExchangeId) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(EXCHANGE, exchange.to_string());
    headers
}

/// The kind that a subject of the log names.
pub(crate) fn kind_of(subject: &str) -> Option<MessageKind> {
    let mut tokens = subject.split('.');
    if tokens.next() != Some("cap") {
        return None;
    }
    let kinds = [MessageKind::Start, MessageKind::Part, MessageKind::End];
    let token = tokens.next()?;
    kinds.into_iter().find(|kind| kind.as_str() == token)
}

/// The message behind what stands in the stream, or why it is none of ours. `exchange` is what [`EXCHANGE`] says.
pub(crate) fn message(subject: &str, exchange: Option<&str>, payload: Bytes) -> Result<Message, String> {
    let kind = kind_of(subject).ok_or("its subject names no kind of message")?;
    let mut tokens = subject.split('.').skip(2);
    let gateway = tokens.next().and_then(gateway_of).ok_or("its subject names no gateway")?;
    let shard =
        tokens.next().filter(|shard| is_shard(shard)).ok_or("its subject names no shard of 00 to 3f")?;
    if tokens.next().is_some() {
        return Err(format!("its subject goes on behind the shard {shard}"));
    }
    let exchange = exchange.ok_or_else(|| format!("it has no header {EXCHANGE}"))?;
    let exchange = exchange.parse().map_err(|error| format!("its header {EXCHANGE} is wrong: {error}"))?;
    Ok(Message { kind, gateway, exchange, payload })
}

/// [`message`], of what async-nats read.
pub(crate) fn received(received: &async_nats::Message) -> Result<Message, String> {
    let exchange = received.headers.as_ref().and_then(|headers| headers.get(EXCHANGE));
    message(&received.subject, exchange.map(|exchange| exchange.as_str()), received.payload.clone())
}

fn is_shard(token: &str) -> bool {
    let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    token.len() == 2 && token.bytes().all(digits) && token < "40"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_none_of_ours_is_told_apart() {
        let id = ExchangeId::mint().to_string();
        let id = Some(id.as_str());
        assert!(message("cap.end.g1.3f", id, Bytes::new()).is_ok());
        for (subject, exchange) in [
            ("cap.end.g1.40", id),
            ("cap.end.g1.0", id),
            ("cap.end.g1.3F", id),
            ("cap.end.g1", id),
            ("cap.end.g1.00.x", id),
            ("cap.finish.g1.00", id),
            ("cap.end.g%2x.00", id),
            ("cap.end.g%31.00", id),
            ("cap.end.%ff.00", id),
            ("cap", id),
            ("cap.end.g1.00", None),
            ("cap.end.g1.00", Some("no id")),
        ] {
            assert!(message(subject, exchange, Bytes::new()).is_err(), "{subject} {exchange:?}");
        }
    }

    proptest! {
        #[test]
        fn any_gateway_is_one_token_and_comes_back(gateway in ".{0,40}") {
            let token = gateway_token(&gateway).unwrap();
            prop_assert!(!token.is_empty() && token.is_ascii());
            prop_assert!(!token.contains(|c: char| ". *>".contains(c) || c.is_ascii_control()), "{}", token);
            prop_assert_eq!(gateway_of(&token), Some(gateway));
        }

        #[test]
        fn any_subject_is_read_or_refused_without_panic(subject in "(cap\\.)?(end|start)?[\\.%a-f0-9é]{0,20}") {
            let _ = message(&subject, Some("x"), Bytes::new());
        }
    }
}
