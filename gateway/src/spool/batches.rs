//! What is sent to the log together.
//!
//! What a replay sent of an exchange may be purged before its end comes, where a recorder settled the exchange while
//! its gateway was gone: so the end follows at once, and no exchange is begun while a large one is under way.

use verbatim_core::ports::Sequence;

/// So many messages are sent together; each can have half a megabyte.
pub(super) const PIECES: usize = 16;

/// Some messages of exchanges, each of which is named by its place in the round.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// Whose they are, and where they stand in the spool.
    pub(super) pieces: Vec<(usize, Sequence)>,
    /// The exchanges that are whole with them: their ends are next.
    pub(super) whole: Vec<usize>,
    /// They are the last of an exchange that needs several batches: its end waits for nobody.
    pub(super) is_last_of_large: bool,
}

/// The messages of a round's exchanges, in order. What fits one batch is in one.
pub(super) fn batches<'a>(exchanges: impl Iterator<Item = &'a [Sequence]>) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut batch = Batch::default();
    for (index, pieces) in exchanges.enumerate() {
        if batch.pieces.len() + pieces.len() > PIECES {
            batches.push(std::mem::take(&mut batch));
        }
        let is_large = pieces.len() > PIECES;
        for some in pieces.chunks(PIECES) {
            if batch.pieces.len() + some.len() > PIECES {
                batches.push(std::mem::take(&mut batch));
            }
            batch.pieces.extend(some.iter().map(|sequence| (index, *sequence)));
        }
        batch.whole.push(index);
        if is_large {
            batches.push(Batch { is_last_of_large: true, ..std::mem::take(&mut batch) });
        }
    }
    batches.push(batch);
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The batches of exchanges with so many messages: how many each has, which exchanges are whole with it, and
    /// whether their ends go alone.
    fn of(lengths: &[usize]) -> Vec<(usize, Vec<usize>, bool)> {
        let exchanges: Vec<Vec<Sequence>> = lengths.iter().map(|&length| vec![1; length]).collect();
        let made = batches(exchanges.iter().map(Vec::as_slice)).into_iter();
        made.filter(|batch| *batch != Batch::default())
            .map(|batch| (batch.pieces.len(), batch.whole, batch.is_last_of_large))
            .collect()
    }

    #[test]
    fn small_exchanges_share_a_batch_and_none_is_split() {
        assert_eq!(of(&[0, 1, 0, 15]), [(16, vec![0, 1, 2, 3], false)]);
        assert_eq!(of(&[9, 9, 7]), [(9, vec![0], false), (16, vec![1, 2], false)]);
        assert_eq!(of(&[1; 64]).len(), 4);
        assert_eq!(of(&[0; 64]), [(0, (0..64).collect(), false)]);
        assert!(of(&[]).is_empty());
    }

    #[test]
    fn a_large_exchange_has_batches_of_its_own_and_its_end_waits_for_no_other() {
        let expected = [
            (1, vec![0], false),
            (16, vec![], false),
            (16, vec![], false),
            (3, vec![1], true),
            (2, vec![2], false),
        ];
        assert_eq!(of(&[1, 35, 2]), expected);
        assert_eq!(of(&[32]), [(16, vec![], false), (16, vec![0], true)]);
    }
}
