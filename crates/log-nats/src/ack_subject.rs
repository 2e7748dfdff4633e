//! What the reply subject of a delivered message says: `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>...`, or,
//! since nats-server 2.10 may say so, with domain and account hash before the stream.

use verbatim_core::ports::Sequence;

/// Where a delivery stands, and how often it was delivered to the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) sequence: Sequence,
    /// This time included.
    pub(crate) times: u32,
    /// Which of the consumer's deliveries it is.
    pub(crate) number: u64,
}

const PREFIX: &str = "$JS.ACK.";

/// The tokens behind the prefix, and which of them is the number of deliveries; the sequence and the delivery's number
/// follow it.
fn tokens(reply: &str) -> Option<(Vec<&str>, usize)> {
    let tokens: Vec<&str> = reply.strip_prefix(PREFIX)?.split('.').collect();
    let at = match tokens.len() {
        7 => 2,
        9.. => 4,
        _ => return None,
    };
    Some((tokens, at))
}

/// Reads the reply subject of a delivery; `None` for any other.
pub(crate) fn read(reply: &str) -> Option<Delivered> {
    let (tokens, at) = tokens(reply)?;
    let [times, sequence, number] = [tokens[at], tokens[at + 1], tokens[at + 2]];
    Some(Delivered {
        times: times.parse().ok()?,
        sequence: sequence.parse().ok()?,
        number: number.parse().ok()?,
    })
}

/// Where a delivery is acknowledged, without the delivery's number. A server that was killed may count anew from a few
/// deliveries ago; and where it does not wait for the sequence, it (2.9) goes by the number, and moves its floor beyond
/// what stands under that number now and is not acknowledged.
pub(crate) fn to_acknowledge(reply: &str) -> String {
    match tokens(reply) {
        Some((mut tokens, at)) => {
            tokens[at + 2] = "0";
            format!("{PREFIX}{}", tokens.join("."))
        }
        None => reply.to_owned(),
    }
}

/// A subject that acknowledges a delivery whose reply subject never came: the server goes by the sequence alone.
pub(crate) fn write(stream: &str, consumer: &str, sequence: Sequence) -> String {
    format!("{PREFIX}{stream}.{consumer}.1.{sequence}.0.0.0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let third = Some(Delivered { sequence: 40, times: 3, number: 17 });
        assert_eq!(read("$JS.ACK.CAP.recorder.3.40.17.1700000000000000000.5"), third);
        assert_eq!(read("$JS.ACK.hub.ACCHASH.CAP.recorder.3.40.17.1700000000000000000.5.rnd"), third);
        assert_eq!(read(&write("CAP", "recorder", 40)).map(|delivered| delivered.sequence), Some(40));
        assert_eq!(
            to_acknowledge("$JS.ACK.CAP.recorder.3.40.17.1700000000000000000.5"),
            "$JS.ACK.CAP.recorder.3.40.0.1700000000000000000.5"
        );
        assert_eq!(
            to_acknowledge("$JS.ACK.hub.ACCHASH.CAP.recorder.3.40.17.1700000000000000000.5.rnd"),
            "$JS.ACK.hub.ACCHASH.CAP.recorder.3.40.0.1700000000000000000.5.rnd"
        );
        for other in ["$JS.ACK.CAP.recorder.3.40", "$JS.ACK.CAP.recorder.x.40.1.2.3", "_INBOX.a", "$JS.ACK."]
        {
            assert_eq!(read(other), None);
        }
    }
}
