use super::*;

/// A Saturday, 12:30 UTC.
fn now() -> Timestamp {
    Timestamp::from_unix_us("2026-11-21T12:30:00Z".parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

fn read(input: &str) -> Query {
    parse(input, now()).unwrap_or_else(|error| panic!("{input}: {error}"))
}

/// The query as it is shown, which is the shortest way to tell what was understood.
fn shown(input: &str) -> String {
    let query = read(input);
    assert_eq!(parse(&query.to_string(), now()), Ok(query.clone()), "{input}");
    query.to_string()
}

/// The part of the input that the error points at, and what it says.
fn wrong(input: &str) -> (&str, String) {
    let error = parse(input, now()).expect_err(input);
    (&input[error.at], error.message)
}

fn numbers(input: &str) -> (Option<u64>, Option<u64>) {
    match read(input).filters.as_slice() {
        [Filter { condition: Condition::Number { min, max }, .. }] => (*min, *max),
        other => panic!("{other:?}"),
    }
}

#[test]
fn words_and_phrases_are_text_and_a_minus_excludes() {
    let query = read(r#"hello -world "two words" -"a \"b\" \\ c:d" -"#);
    let text: Vec<_> =
        query.text.iter().map(|term| (term.text.as_str(), term.phrase, term.excluded)).collect();
    assert_eq!(
        text,
        [
            ("hello", false, false),
            ("world", false, true),
            ("two words", true, false),
            (r#"a "b" \ c:d"#, true, true),
            ("-", false, false),
        ]
    );
    assert_eq!(query.filters, []);
    assert_eq!(read(" \u{3000} "), Query::default());
}

#[test]
fn values_may_be_lists_have_stars_and_be_quoted() {
    assert_eq!(shown("Model:gpt-4*,o3 -provider:openai"), "model:gpt-4*,o3 -provider:openai");
    assert_eq!(
        shown(r#"app:"My App" path:/v1/a:b error:"100 \* 2*""#),
        r#"app:"My App" path:/v1/a:b error:"100 \* 2*""#
    );
    assert_eq!(shown("outcome:Completed,upstream_error"), "outcome:completed,upstream_error");
    assert_eq!(shown("dialect:anthropic -dialect:raw"), "dialect:anthropic -dialect:raw");
    assert_eq!(shown("has:tool -has:error stream:yes in:all"), "has:tool -has:error stream:true in:all");
}

#[test]
fn numbers_are_compared_and_span_ranges() {
    assert_eq!(numbers("status:404"), (Some(404), Some(404)));
    assert_eq!(numbers("status:4xx"), (Some(400), Some(499)));
    assert_eq!(numbers("status:4xx..5xx"), (Some(400), Some(599)));
    assert_eq!(numbers("status:>4xx"), (Some(500), None));
    assert_eq!(numbers("status:200..299"), (Some(200), Some(299)));
    assert_eq!(numbers("tokens:>1k"), (Some(1001), None));
    assert_eq!(numbers("tokens:<=1.5k"), (None, Some(1500)));
    assert_eq!(numbers("tokens:..9"), (None, Some(9)));
}

#[test]
fn money_is_typed_in_dollars_and_durations_in_seconds() {
    assert_eq!(numbers("cost:>0.01"), (Some(10_001), None));
    assert_eq!(numbers("cost:>=$0.01"), (Some(10_000), None));
    assert_eq!(numbers("cost:<0.0000005"), (None, Some(0)));
    assert_eq!(numbers("duration:>2s"), (Some(2_000_001), None));
    assert_eq!(numbers("duration:<500ms"), (None, Some(499_999)));
    assert_eq!(numbers("duration:1.5m..5m"), (Some(90_000_000), Some(300_000_000)));
    assert_eq!(numbers("duration:>=2"), (Some(2_000_000), None));
    assert_eq!(shown("duration:>=1500ms cost:0.05"), "duration:>=1.5s cost:0.05");
}

#[test]
fn moments_are_relative_days_or_exact() {
    assert_eq!(shown("after:2h"), "after:2026-11-21T10:30:00.000000Z");
    assert_eq!(shown("after:7d"), "after:2026-11-14T12:30:00.000000Z");
    assert_eq!(shown("after:today"), "after:2026-11-21T00:00:00.000000Z");
    assert_eq!(shown("before:yesterday"), "before:2026-11-20T00:00:00.000000Z");
    assert_eq!(shown("after:2026-11-20"), "after:2026-11-20T00:00:00.000000Z");
    assert_eq!(shown("before:2026-11-20T10:00+02:00"), "before:2026-11-20T08:00:00.000000Z");
    assert_eq!(shown("before:2026-11-20T10:00"), "before:2026-11-20T10:00:00.000000Z");
    assert_eq!(shown("began:2026-11-20"), "began:2026-11-20T00:00:00.000000Z..2026-11-20T23:59:59.999999Z");
    let condition = Condition::Time { from: None, to: Some(now().minus(Duration::from_micros(1))) };
    assert_eq!(read("before:now").filters, [Filter { field: Field::Began, condition, excluded: false }]);
}

#[test]
fn an_id_is_one_exchange() {
    let id = ExchangeId::lowest_at(now());
    assert_eq!(shown(&format!("id:{id}")), format!("id:{id}"));
    assert_eq!(wrong("id:123").0, "123");
}

#[test]
fn full_width_signs_are_read_as_their_ascii_equals() {
    assert_eq!(shown("model：gpt-4o，o3"), "model:gpt-4o,o3");
    assert_eq!(shown("“天气 预报”　－下雨"), r#""天气 预报" -下雨"#);
    assert_eq!(shown("tokens：＞100"), "tokens:>=101");
    assert_eq!(shown("今天天气：晴"), "今天天气：晴", "prose is not a condition");
}

#[test]
fn an_unknown_field_is_pointed_at_with_what_was_probably_meant() {
    let (at, message) = wrong("hello modle:gpt");
    assert_eq!(at, "modle");
    assert!(message.contains("did you mean `model:`"), "{message}");
    let (at, message) = wrong("-role:user");
    assert_eq!(at, "role");
    assert!(message.contains("model, provider"), "{message}");
}

#[test]
fn text_with_a_colon_needs_quotes_and_the_error_shows_how() {
    let (at, message) = wrong("see http://x/y ok");
    assert_eq!(at, "http://x/y");
    assert!(message.ends_with(r#""http://x/y""#), "{message}");
    assert_eq!(wrong(":smile:").0, ":smile:");
}

#[test]
fn a_wrong_value_is_pointed_at_with_what_was_expected() {
    let (at, message) = wrong("a status:abc b");
    assert_eq!(at, "abc");
    assert!(message.contains("expected a status such as"), "{message}");
    assert_eq!(wrong("outcome:completed,fine").0, "fine");
    assert_eq!(wrong("outcome:complete").1, "did you mean `completed`?");
    assert_eq!(wrong("tokens:5..1").0, "5..1");
    assert_eq!(wrong("tokens:<0").1, "nothing is below zero");
    assert_eq!(wrong("tokens:>18446744073709551615").0, ">18446744073709551615");
    assert_eq!(wrong("tokens:99999999999999999999999999999999999999999999").0.len(), 44);
    assert_eq!(wrong("cost:0.0000001").0, "0.0000001");
    assert_eq!(wrong("cost:4xx").0, "4xx");
    assert!(wrong("duration:2s").1.contains("comparison"));
    assert_eq!(wrong("after:soon").0, "soon");
    assert_eq!(wrong("after:99999999999d").0, "99999999999d");
    assert_eq!(wrong("began:2h").0, "2h");
    assert_eq!(wrong("status:200,404").0, "200,404");
    assert_eq!(wrong("has:dog").0, "dog");
    assert_eq!(wrong("-in:all").0, "-in:all");
}

#[test]
fn what_is_missing_is_pointed_at_by_what_stands_before() {
    assert_eq!(wrong("model: gpt").0, ":");
    assert_eq!(wrong("model:a,").0, ",");
    assert_eq!(wrong(r#"model:"""#).0, r#""""#);
    assert_eq!(wrong(r#"ok "not closed"#).0, "\"not closed");
    assert_eq!(wrong(r#""""#).0, r#""""#);
    assert_eq!(wrong(r#"app:"a"b"#).0, r#""a""#);
}

#[test]
fn a_query_has_bounds() {
    assert!(parse(&"word ".repeat(100), now()).is_ok());
    assert!(parse(&"word ".repeat(101), now()).is_err());
    assert!(parse(&format!("model:{}", vec!["m"; 101].join(",")), now()).is_err());
    assert!(parse(&"界".repeat(1000), now()).is_ok());
    assert!(parse(&"界".repeat(1001), now()).is_err());
}
