use verbatim_core::model::ProviderDialect;

use crate::golden;

#[test]
fn golden_exchanges_are_read_as_before() {
    golden::check(ProviderDialect::Openai, "openai_other");
}

mod realtime {
    use verbatim_core::model::{Dialect, Headers, ProviderDialect};

    use crate::reading::{Part, Role};
    use crate::text::{answered, asked, system};
    use crate::{ExchangeView, Reading, read};

    fn frame(text: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
        let masked = if mask.is_some() { 0x80 } else { 0 };
        let mut frame = vec![0x81, masked | 126];
        frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        frame.extend(mask.iter().flatten());
        let mask = mask.unwrap_or_default();
        frame.extend(text.bytes().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
        frame
    }

    fn tunnel(asked: &[&str], answered: &[&str], close: &[u8]) -> Reading {
        let request: Vec<u8> = asked.iter().flat_map(|text| frame(text, Some([7, 8, 9, 10]))).collect();
        let mut response: Vec<u8> = answered.iter().flat_map(|text| frame(text, None)).collect();
        response.extend(close);
        let mut headers = Headers::default();
        headers.push("upgrade", "websocket");
        read(&ExchangeView {
            provider_dialect: ProviderDialect::Openai,
            dialect: Dialect::OpenaiOther,
            method: "GET",
            path: "/v1/realtime?model=gpt-realtime",
            request_headers: &Headers::default(),
            request_body: &request,
            status: Some(101),
            response_headers: &headers,
            response_body: &response,
            response_complete: true,
        })
    }

    #[test]
    fn a_conversation_over_a_tunnel_is_read_and_its_responses_usages_added() {
        let reading = tunnel(
            &[
                r#"{"type":"session.update","session":{"instructions":"Be brief.","voice":"alloy","tools":[{"type":"function","name":"f"}]}}"#,
                r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"Hello"}]}}"#,
                r#"{"type":"response.create"}"#,
            ],
            &[
                r#"{"type":"session.created","session":{"id":"sess_1","model":"gpt-realtime-2025-08-28"}}"#,
                r#"{"type":"response.output_audio_transcript.delta","item_id":"i1","delta":"Hi"}"#,
                r#"{"type":"response.done","response":{"status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_audio","transcript":"Hi there."}]}],"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15,"input_token_details":{"cached_tokens":4}}}}"#,
                r#"{"type":"response.done","response":{"status":"completed","output":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}],"usage":{"input_tokens":20,"output_tokens":3,"total_tokens":23}}}"#,
                r#"{"type":"response.output_text.delta","item_id":"i2","delta":"Well, "}"#,
            ],
            b"\x88\x02\x03\xe8",
        );
        assert_eq!(reading.model_served.as_deref(), Some("gpt-realtime-2025-08-28"));
        assert_eq!(reading.model_asked.as_deref(), Some("gpt-realtime"));
        assert_eq!((asked(&reading).as_str(), system(&reading).as_str()), ("Hello", "Be brief."));
        assert_eq!(answered(&reading), "Hi there.\nWell, ");
        assert_eq!(reading.tools_called(), ["f"]);
        let usage = reading.usage.unwrap();
        assert_eq!(
            (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens),
            (Some(30), Some(8), Some(4))
        );
        assert_eq!(reading.notes, ["the provider closed with 1000"]);
        assert!(reading.ended_well && reading.first_token_offset.is_some());
    }

    #[test]
    fn an_error_and_what_was_heard_are_read() {
        let reading = tunnel(
            &[],
            &[
                r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"i","transcript":"Was it me?"}"#,
                r#"{"type":"error","error":{"type":"invalid_request_error","code":"x","message":"No."}}"#,
            ],
            b"\x81",
        );
        assert_eq!(reading.messages[0].role, Role::User);
        assert_eq!(reading.messages[0].parts, [Part::text("Was it me?")]);
        assert_eq!(reading.error.unwrap().message, "No.");
        assert_eq!(reading.notes, ["what the provider sent is cut"]);
    }
}
