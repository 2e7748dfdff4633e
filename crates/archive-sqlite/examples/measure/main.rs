//! Measures the archive against its budgets:
//! - `measure commit-rate [records] [batch] [bytes a body]`: records a second and bytes written for bytes captured;
//! - `measure conversation [turns]`: bytes kept for bytes captured of an agent's conversation;
//! - `measure lists [records]`: how long pages and counts take over so many records.
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

mod commit_rate;
mod conversation;
mod lists;
mod system;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let numbers: Vec<usize> = arguments.map(|number| number.parse()).collect::<Result<_, _>>()?;
    let number = |place: usize, default| numbers.get(place).copied().unwrap_or(default).max(1);
    match what.as_str() {
        "commit-rate" => commit_rate::run(number(0, 100_000), number(1, 256), number(2, 1024)).await,
        "conversation" => conversation::run(number(0, 60)).await,
        "lists" => lists::run(number(0, 1_000_000)).await,
        _ => Err("expected one of commit-rate, conversation, lists".into()),
    }
}
