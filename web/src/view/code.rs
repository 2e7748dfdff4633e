//! The same call as a command and as a program, secrets left out.

use bytes::Bytes;
use verbatim_core::model::{Exchange, Headers};

/// Longer bodies are not written into the command.
const INLINE: usize = 16 * 1024;

/// A call to be made again.
#[derive(Debug, Clone)]
pub(crate) struct CallAgain {
    pub(crate) curl: String,
    pub(crate) python: String,
    /// Whether the body has to be downloaded first.
    pub(crate) body_apart: bool,
}

/// A header's or query's value: plain, or with a variable in place of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Plain(String),
    Secret { before: String, variable: String },
}

/// Writes the call down, going through the gateway at `gateway_url`.
pub(crate) fn call_again(
    gateway_url: &str,
    exchange: &Exchange,
    headers: &Headers,
    body: &Bytes,
) -> CallAgain {
    let variable = variable(exchange);
    let body = std::str::from_utf8(body).ok().map(|text| (text, text.len() <= INLINE && is_pasteable(text)));
    let body_apart = !matches!(body, Some((_, true)));
    let path = with_placeholders(&exchange.path, &variable);
    let headers: Vec<(String, Value)> = headers
        .iter()
        .filter(|(name, _)| is_worth_repeating(name))
        .map(|(name, value)| (name.to_ascii_lowercase(), value_of(name, value, &variable)))
        .collect();
    let url = format!("{}{path}", gateway_url.trim_end_matches('/'));
    let file = format!("{}.client_request.json", exchange.id);
    let inline = body.and_then(|(text, fits)| fits.then_some(text));
    CallAgain {
        curl: curl(exchange, &url, &headers, inline, &file),
        python: python(exchange, &url, &headers, inline, &file),
        body_apart,
    }
}

/// Whether a terminal takes this as text. Another control character could end the paste (`ESC [ 201 ~`), and what
/// follows would be typed.
fn is_pasteable(text: &str) -> bool {
    !text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t'))
}

/// The variable that usually holds the key.
fn variable(exchange: &Exchange) -> String {
    let provider =
        if exchange.provider.is_empty() { exchange.provider_dialect.as_str() } else { &exchange.provider };
    let name: String = provider
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' })
        .take(40)
        .collect();
    let name = name.trim_start_matches(|letter: char| letter.is_ascii_digit());
    format!("{name}_API_KEY")
}

/// What a client adds by itself, or what belongs to one connection, is left out.
fn is_worth_repeating(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let own = [
        "host",
        "content-length",
        "connection",
        "accept-encoding",
        "user-agent",
        "transfer-encoding",
        "keep-alive",
        "te",
        "upgrade",
        "traceparent",
        "tracestate",
        "accept-language",
        "sec-fetch-mode",
        "cookie",
        "proxy-authorization",
        "content-encoding",
    ];
    !own.contains(&name.as_str()) && !name.starts_with("x-stainless-") && !name.starts_with("x-forwarded-")
}

fn value_of(name: &str, value: &[u8], variable: &str) -> Value {
    let text = String::from_utf8_lossy(value);
    let secret = name.eq_ignore_ascii_case("authorization")
        || name.eq_ignore_ascii_case("x-api-key")
        || name.eq_ignore_ascii_case("api-key")
        || name.eq_ignore_ascii_case("x-goog-api-key")
        || text.contains("redacted:");
    if !secret {
        return Value::Plain(text.chars().filter(|letter| !letter.is_control()).collect());
    }
    let before = if name.eq_ignore_ascii_case("authorization") { "Bearer " } else { "" };
    Value::Secret { before: before.to_owned(), variable: variable.to_owned() }
}

/// A path whose redacted query values are placeholders.
fn with_placeholders(path: &str, variable: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if value.contains("redacted") => format!("{name}={{{variable}}}"),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// In double quotes everything but the variable is literal.
fn double_quoted(before: &str, variable: &str) -> String {
    let escaped: String = before
        .chars()
        .flat_map(|letter| {
            let backslash = matches!(letter, '"' | '\\' | '$' | '`').then_some('\\');
            backslash.into_iter().chain([letter])
        })
        .collect();
    format!("\"{escaped}${variable}\"")
}

fn curl(
    exchange: &Exchange,
    url: &str,
    headers: &[(String, Value)],
    body: Option<&str>,
    file: &str,
) -> String {
    let streams = if exchange.streamed { " -N" } else { "" };
    let variable = variable(exchange);
    let placeholder = format!("{{{variable}}}");
    let url = match url.split_once(&placeholder) {
        Some((before, after)) => format!("{}{}", double_quoted(before, &variable), single_quoted(after)),
        None => single_quoted(url),
    };
    let mut lines = vec![format!("curl{streams} -X {} {url}", method(exchange))];
    for (name, value) in headers {
        lines.push(match value {
            Value::Plain(value) => format!("  -H {}", single_quoted(&format!("{name}: {value}"))),
            Value::Secret { before, variable } => {
                format!("  -H {}", double_quoted(&format!("{name}: {before}"), variable))
            }
        });
    }
    match body {
        Some("") => {}
        Some(body) => lines.push(format!("  --data-raw {}", single_quoted(body))),
        None => lines.push(format!("  --data-binary @{file}")),
    }
    lines.join(" \\\n")
}

/// JSON's strings are Python's too, as long as they hold no escaped surrogates, which serde_json never writes.
fn literal(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn python(
    exchange: &Exchange,
    url: &str,
    headers: &[(String, Value)],
    body: Option<&str>,
    file: &str,
) -> String {
    let variable = variable(exchange);
    let placeholder = format!("{{{variable}}}");
    let environment = format!("os.environ[{}]", literal(&variable));
    let url = match url.split_once(&placeholder) {
        Some((before, after)) => format!("{} + {environment} + {}", literal(before), literal(after)),
        None => literal(url),
    };
    let mut out = format!(
        "import os\nimport requests\n\nresponse = requests.request(\n    {},\n    {url},\n    headers={{\n",
        literal(method(exchange))
    );
    for (name, value) in headers {
        let value = match value {
            Value::Plain(value) => literal(value),
            Value::Secret { before, .. } if before.is_empty() => environment.clone(),
            Value::Secret { before, .. } => format!("{} + {environment}", literal(before)),
        };
        out.push_str(&format!("        {}: {value},\n", literal(name)));
    }
    out.push_str("    },\n");
    match body {
        Some("") => {}
        Some(body) => out.push_str(&format!("    data={}.encode(),\n", literal(body))),
        None => out.push_str(&format!("    data=open({}, \"rb\"),\n", literal(file))),
    }
    if exchange.streamed {
        out.push_str("    stream=True,\n)\nfor line in response.iter_lines():\n    print(line.decode())\n");
    } else {
        out.push_str(")\nprint(response.status_code, response.text)\n");
    }
    out
}

/// A method is a token (RFC 9110): nothing in it needs quoting, and what is none is not written down.
fn method(exchange: &Exchange) -> &str {
    let is_token = !exchange.method.is_empty()
        && exchange.method.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_token { &exchange.method } else { "POST" }
}

#[cfg(test)]
mod tests {
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    fn again(path: &str, headers: &[(&str, &str)], body: &str) -> CallAgain {
        let exchange = ExchangeBuilder::minted().with(|exchange| exchange.path = path.to_owned()).exchange();
        let headers = Headers(
            headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Bytes::from((*value).to_owned())))
                .collect(),
        );
        call_again("http://127.0.0.1:8080/", &exchange, &headers, &Bytes::from(body.to_owned()))
    }

    #[test]
    fn secrets_are_variables() {
        let again = again(
            "/v1/chat/completions?key=redacted:abc&x=1",
            &[
                ("Authorization", "Bearer redacted:0a1b"),
                ("X-Custom", "redacted:77"),
                ("content-type", "application/json"),
            ],
            "{}",
        );
        assert!(!again.curl.contains("redacted") && !again.python.contains("redacted"), "{again:?}");
        assert!(again.curl.contains(r#"-H "authorization: Bearer $OPENAI_API_KEY""#), "{}", again.curl);
        assert!(
            again.curl.contains(r#""http://127.0.0.1:8080/v1/chat/completions?key=$OPENAI_API_KEY"'&x=1'"#)
        );
        assert!(again.python.contains(r#""Bearer " + os.environ["OPENAI_API_KEY"]"#), "{}", again.python);
    }

    #[test]
    fn nothing_in_a_body_leaves_its_quotes() {
        let again = again("/v1/x", &[("x-a", "`id` $(id) '\"")], "it's $HOME; rm -rf / '\\'' \n\"x\"");
        assert!(again.curl.contains(r"--data-raw 'it'\''s $HOME; rm -rf / '\''\'\'''\'' "), "{}", again.curl);
        assert!(again.curl.contains(r#"-H 'x-a: `id` $(id) '\''"'"#), "{}", again.curl);
        assert!(again.python.contains(r#"\"x\""#));
    }

    #[test]
    fn a_body_that_could_end_a_paste_is_a_file() {
        for body in ["{}\u{1b}[201~\u{3}id\n", "\u{9b}201~", "\0"] {
            let again = again("/v1/x", &[], body);
            assert!(again.body_apart && again.curl.contains("--data-binary @"), "{again:?}");
        }
        assert!(!again("/v1/x", &[], "{\r\n\t}").body_apart);
    }

    #[test]
    fn a_long_body_is_a_file() {
        let again = again("/v1/x", &[], &"x".repeat(INLINE + 1));
        assert!(again.body_apart && again.curl.contains("--data-binary @") && again.python.contains("open("));
    }
}
