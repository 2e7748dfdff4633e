//! Which result answers which call of a tool.

use std::collections::{HashMap, HashSet, VecDeque};

use verbatim_dialects::{Message, Part, ToolCall, ToolResult};

/// A part of a message, by the indices of both.
pub(super) type At = (usize, usize);

/// The pairs of calls and results in a conversation.
#[derive(Debug, Default)]
pub(super) struct Pairs<'a> {
    results: HashMap<At, At>,
    joined: HashSet<At>,
    /// The name of the first call of each id.
    names: HashMap<&'a str, &'a str>,
}

impl<'a> Pairs<'a> {
    /// Pairs each call of a tool with its result: by id, or where a dialect has none (Gemini) by name and order.
    pub(super) fn of(messages: &'a [Message]) -> Self {
        let mut pairs = Self::default();
        let mut waiting = Waiting::default();
        for (at, message) in messages.iter().enumerate() {
            for (part_at, part) in message.parts.iter().enumerate() {
                let here = (at, part_at);
                match part {
                    Part::ToolCall(call) => {
                        if let Some(id) = &call.id {
                            pairs.names.entry(id).or_insert(&call.name);
                        }
                        waiting.add(here, call);
                    }
                    Part::ToolResult(result) => {
                        if let Some(call) = waiting.take(result) {
                            pairs.results.insert(call, here);
                            pairs.joined.insert(here);
                        }
                    }
                    _ => {}
                }
            }
        }
        pairs
    }

    /// The result of the call at a place.
    pub(super) fn result_of(&self, call: At) -> Option<At> {
        self.results.get(&call).copied()
    }

    /// Whether the part at a place is a result that is shown with its call.
    pub(super) fn is_joined(&self, at: At) -> bool {
        self.joined.contains(&at)
    }

    /// The name of the tool that a call's id stands for.
    pub(super) fn name_of(&self, call_id: &str) -> Option<&'a str> {
        self.names.get(call_id).copied()
    }
}

/// Calls without a result yet, in order, to be found by what a result may tell of its call. A conversation may hold a
/// hundred thousand of them.
#[derive(Default)]
struct Waiting<'a> {
    by_id: HashMap<&'a str, VecDeque<At>>,
    by_name: HashMap<&'a str, VecDeque<At>>,
    /// Of those that have no id.
    idless_by_name: HashMap<&'a str, VecDeque<At>>,
    taken: HashSet<At>,
}

impl<'a> Waiting<'a> {
    fn add(&mut self, at: At, call: &'a ToolCall) {
        self.by_name.entry(&call.name).or_default().push_back(at);
        match &call.id {
            Some(id) => self.by_id.entry(id).or_default().push_back(at),
            None => self.idless_by_name.entry(&call.name).or_default().push_back(at),
        }
    }

    /// The first call that a result answers. Where both have an id it decides, else the name.
    fn take(&mut self, result: &ToolResult) -> Option<At> {
        let Self { by_id, by_name, idless_by_name, taken } = self;
        let first = |list: Option<&mut VecDeque<At>>| {
            let list = list?;
            while list.front().is_some_and(|at| taken.contains(at)) {
                list.pop_front();
            }
            list.front().copied()
        };
        let name = result.name.as_deref();
        let found = match &result.call_id {
            Some(id) => {
                let by_id = first(by_id.get_mut(id.as_str()));
                let by_name = first(name.and_then(|name| idless_by_name.get_mut(name)));
                [by_id, by_name].into_iter().flatten().min()
            }
            None => first(name.and_then(|name| by_name.get_mut(name))),
        }?;
        taken.insert(found);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use verbatim_dialects::Role;

    use super::*;

    fn call(id: Option<&str>, name: &str) -> Part {
        Part::ToolCall(ToolCall { id: id.map(Into::into), name: name.into(), ..ToolCall::default() })
    }

    fn result(id: Option<&str>, name: Option<&str>) -> Part {
        let (call_id, name) = (id.map(Into::into), name.map(Into::into));
        Part::ToolResult(ToolResult { call_id, name, ..ToolResult::default() })
    }

    #[test]
    fn without_ids_calls_and_results_are_paired_by_name_in_order() {
        let (a, b) = (call(None, "a"), call(None, "b"));
        let results = ["b", "a", "a", "c"].map(|name| result(None, Some(name)));
        let messages = [
            Message::new(Role::Assistant, vec![a.clone(), b, a]),
            Message::new(Role::User, results.to_vec()),
        ];
        let pairs = Pairs::of(&messages);
        assert_eq!([0, 1, 2].map(|at| pairs.result_of((0, at))), [Some((1, 1)), Some((1, 0)), Some((1, 2))]);
        assert!(!pairs.is_joined((1, 3)));
    }

    #[test]
    fn a_hundred_thousand_calls_without_a_result_do_not_slow_the_others() {
        let waiting = (0..100_000).map(|at| call(Some(&format!("lost {at}")), "f"));
        let paired = (0..100_000).flat_map(|at| {
            let id = format!("id {at}");
            [call(Some(&id), "f"), result(Some(&id), None)]
        });
        let messages = [Message::new(Role::Assistant, waiting.chain(paired).collect())];
        // Looked through one after the other these are 10^10 comparisons.
        let began = std::time::Instant::now();
        let pairs = Pairs::of(&messages);
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(pairs.result_of((0, 100_000)), Some((0, 100_001)));
        assert_eq!((pairs.results.len(), pairs.name_of("lost 7")), (100_000, Some("f")));
    }

    /// What is promised, looked up the slow way.
    fn simple(parts: &[Part]) -> HashMap<At, At> {
        let mut waiting: Vec<(At, &ToolCall)> = Vec::new();
        let mut pairs = HashMap::new();
        for (at, part) in parts.iter().enumerate() {
            match part {
                Part::ToolCall(call) => waiting.push(((0, at), call)),
                Part::ToolResult(result) => {
                    let answers = |call: &ToolCall| match (&result.call_id, &call.id) {
                        (Some(answered), Some(id)) => answered == id,
                        _ => result.name.as_ref() == Some(&call.name),
                    };
                    if let Some(found) = waiting.iter().position(|(_, call)| answers(call)) {
                        pairs.insert(waiting.remove(found).0, (0, at));
                    }
                }
                _ => {}
            }
        }
        pairs
    }

    proptest! {
        #[test]
        fn pairs_are_those_that_looking_through_all_calls_finds(
            parts in proptest::collection::vec((any::<bool>(), 0usize..4, 0usize..4), 0..40),
        ) {
            let word = |at: usize| ["x", "y", "z"].get(at).copied();
            let parts: Vec<Part> = parts
                .into_iter()
                .map(|(is_call, id, name)| match is_call {
                    true => call(word(id), word(name).unwrap_or_default()),
                    false => result(word(id), word(name)),
                })
                .collect();
            let messages = [Message::new(Role::User, parts)];
            prop_assert_eq!(Pairs::of(&messages).results, simple(&messages[0].parts));
        }
    }
}
