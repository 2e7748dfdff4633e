use super::*;

#[test]
fn of_very_many_calls_each_tool_is_named_once_and_in_order() {
    let call =
        |at: usize| Part::ToolCall(ToolCall { name: (at % 200_000).to_string(), ..ToolCall::default() });
    let mut reading = Reading::new(Dialect::OpenaiChat);
    reading.answer.choices.push(Choice { parts: (0..400_000).map(call).collect(), ..Choice::default() });
    // Looking each of them up among all others would take minutes.
    let began = std::time::Instant::now();
    let names = reading.tools_called();
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!((names.len(), names[0].as_str(), names[199_999].as_str()), (200_000, "0", "199999"));
}
