//! Writing documents: in batches, of which the ones that fail are halved until what is to blame is found.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;
use verbatim_core::model::{ExchangeId, SearchDocument};
use verbatim_core::ports::WriteOutcome;

use crate::document;
use crate::server::Server;
use crate::trouble::{Refusal, Trouble};

/// Tasks of ours that Meilisearch has at the same time: one that it works on, and the next.
pub(crate) const IN_FLIGHT: usize = 2;

/// A document as a line of JSON, and its place among those that were handed in.
pub(crate) struct Line {
    place: usize,
    json: Vec<u8>,
}

/// Documents made ready.
pub(crate) struct Prepared {
    /// Those to be written, each id once.
    pub(crate) lines: Vec<Line>,
    /// For each that was handed in what became of it, as far as it is known.
    pub(crate) outcomes: Vec<Option<WriteOutcome>>,
    /// Those that a later one of the same id replaces, with that one's place.
    replaced: Vec<(usize, usize)>,
}

/// Makes documents ready.
pub(crate) fn prepare(documents: &[SearchDocument]) -> Prepared {
    let mut last: HashMap<ExchangeId, usize> = HashMap::with_capacity(documents.len());
    for (place, document) in documents.iter().enumerate() {
        last.insert(document.id(), place);
    }
    let mut prepared = Prepared { lines: Vec::new(), outcomes: Vec::new(), replaced: Vec::new() };
    for (place, document) in documents.iter().enumerate() {
        let mut outcome = None;
        match (last.get(&document.id()), document::line(document)) {
            (_, Err(reason)) => outcome = Some(WriteOutcome::Refused(reason)),
            (Some(&later), Ok(_)) if later != place => prepared.replaced.push((place, later)),
            (_, Ok(json)) => prepared.lines.push(Line { place, json }),
        }
        prepared.outcomes.push(outcome);
    }
    prepared
}

impl Prepared {
    /// What became of each, once all that were to be written have their outcome.
    pub(crate) fn outcomes(mut self) -> Vec<WriteOutcome> {
        for (place, later) in std::mem::take(&mut self.replaced) {
            self.outcomes[place] = match &self.outcomes[later] {
                Some(WriteOutcome::Refused(reason)) => Some(WriteOutcome::Refused(reason.clone())),
                _ => Some(WriteOutcome::Indexed),
            };
        }
        self.outcomes.into_iter().map(|outcome| outcome.unwrap_or(WriteOutcome::Indexed)).collect()
    }
}

/// Cuts lines into batches of at most so many documents and bytes; a longer line is a batch of its own.
pub(crate) fn batches(lines: &[Line], documents: usize, bytes: usize) -> Vec<&[Line]> {
    let mut batches = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (end, line) in lines.iter().enumerate() {
        if end > start && (end - start >= documents || size + line.json.len() > bytes) {
            batches.push(&lines[start..end]);
            (start, size) = (end, 0);
        }
        size += line.json.len();
    }
    if start < lines.len() {
        batches.push(&lines[start..]);
    }
    batches
}

/// Writes to one or two indexes.
pub(crate) struct Writer<'a> {
    pub(crate) server: &'a Server,
    pub(crate) in_flight: &'a Semaphore,
    /// The index of a rebuild first: whenever the two change names, the documents are then in the one that answers.
    pub(crate) indexes: &'a [&'a str],
}

impl Writer<'_> {
    /// Writes batches; gives the outcomes of their documents by their places.
    pub(crate) async fn write(&self, batches: Vec<&[Line]>) -> Result<Vec<(usize, WriteOutcome)>, Trouble> {
        let batches: Vec<_> = batches.into_iter().map(|batch| self.batch(batch)).collect();
        stream::iter(batches).buffered(IN_FLIGHT).try_concat().await
    }

    async fn batch(&self, batch: &[Line]) -> Result<Vec<(usize, WriteOutcome)>, Trouble> {
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut suspects = Vec::new();
        let mut works = false;
        let mut waiting = vec![batch];
        while let Some(part) = waiting.pop() {
            let trouble = match (self.send(part).await, part) {
                (Ok(()), part) => {
                    works = true;
                    outcomes.extend(part.iter().map(|line| (line.place, WriteOutcome::Indexed)));
                    continue;
                }
                (Err(trouble), _) => trouble,
            };
            match part {
                [single] if trouble.is_a_documents_fault() => {
                    outcomes.push((single.place, WriteOutcome::Refused(trouble.to_string())));
                }
                [single] if trouble.may_be_a_documents_fault() => suspects.push((single.place, trouble)),
                [_, _, ..] if trouble.may_be_a_documents_fault() => {
                    tracing::debug!(%trouble, documents = part.len(), "Meilisearch refuses documents together: trying halves");
                    let (first, second) = part.split_at(part.len() / 2);
                    waiting.extend([second, first]);
                }
                _ => return Err(trouble),
            }
        }
        // Only where others went through is it certain that these are to blame, rather than the server.
        match suspects.first() {
            Some((_, trouble)) if !works => return Err(trouble.clone()),
            _ => outcomes.extend(
                suspects
                    .into_iter()
                    .map(|(place, trouble)| (place, WriteOutcome::Refused(trouble.to_string()))),
            ),
        }
        Ok(outcomes)
    }

    /// Writes documents together, to every index; durable when it returns.
    async fn send(&self, lines: &[Line]) -> Result<(), Trouble> {
        let tasks = u32::try_from(self.indexes.len()).unwrap_or(u32::MAX);
        let closed = |_| Trouble::Refused(Refusal::read(503, b"it is being closed"));
        let _room = self.in_flight.acquire_many(tasks).await.map_err(closed)?;
        let mut payload = Vec::with_capacity(lines.iter().map(|line| line.json.len()).sum());
        for line in lines {
            payload.extend_from_slice(&line.json);
        }
        let payload = Bytes::from(payload);
        let mut taken = Vec::with_capacity(self.indexes.len());
        for index in self.indexes {
            taken.push(self.server.add(index, payload.clone()).await?);
        }
        for task in taken {
            self.server.done_in_time(task).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    fn lines(sizes: &[usize]) -> Vec<Line> {
        sizes.iter().enumerate().map(|(place, size)| Line { place, json: vec![b'x'; *size] }).collect()
    }

    fn cut(sizes: &[usize], documents: usize, bytes: usize) -> Vec<usize> {
        batches(&lines(sizes), documents, bytes).into_iter().map(<[Line]>::len).collect()
    }

    #[test]
    fn batches_are_bounded_by_number_and_bytes() {
        assert_eq!(cut(&[1; 7], 3, 100), [3, 3, 1]);
        assert_eq!(cut(&[40, 40, 40, 10], 100, 100), [2, 2]);
        assert_eq!(cut(&[1, 500, 1], 100, 100), [1, 1, 1]);
        assert_eq!(cut(&[], 3, 100), [0; 0]);
    }

    #[test]
    fn the_last_of_one_id_is_written_and_its_outcome_is_theirs() {
        let document = ExchangeBuilder::minted().document("first", "");
        let mut later = document.clone();
        later.asked = "second".to_owned();
        let other = ExchangeBuilder::minted().document("other", "");
        let mut prepared = prepare(&[document, other, later]);
        assert_eq!(prepared.lines.iter().map(|line| line.place).collect::<Vec<_>>(), [1, 2]);
        prepared.outcomes[2] = Some(WriteOutcome::Refused("why".to_owned()));
        let outcomes = prepared.outcomes();
        assert!(matches!(
            outcomes[..],
            [WriteOutcome::Refused(_), WriteOutcome::Indexed, WriteOutcome::Refused(_)]
        ));
    }
}
