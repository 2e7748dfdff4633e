//! From what was collected to bodies, each checked against its length and hash. Pure.

use verbatim_core::model::{Headers, Integrity, Leg, LegBody, LegInfo};
use verbatim_proto::{Assembly, v1};

use crate::collect::Collected;

/// The bodies of an exchange and whether they are all that passed.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) bodies: Vec<LegBody>,
    pub(crate) trailers: Headers,
    pub(crate) integrity: Integrity,
    /// What is missing or does not match, leg by leg.
    pub(crate) faults: Vec<String>,
    /// Bytes on the wire of a leg whose body was not to be recorded.
    pub(crate) withheld: Vec<(Leg, u64)>,
}

/// Whether every byte that the end announces is there, or declared lost. Cheap: no hash is taken.
pub(crate) fn is_complete(collected: &Collected) -> bool {
    let Some(end) = &collected.end else { return false };
    collected.start.is_some()
        && end.legs.iter().filter(|summary| !summary.withheld).all(|summary| {
            let missing = missing(collected, summary);
            missing == 0 || missing <= summary.lost
        })
}

fn missing(collected: &Collected, summary: &v1::LegSummary) -> u64 {
    let assembly =
        u8::try_from(summary.leg).ok().and_then(Leg::from_number).and_then(|leg| collected.legs.get(&leg));
    assembly.map_or(summary.length, |assembly| {
        assembly.holes(summary.length).iter().map(|hole| hole.end - hole.start).sum()
    })
}

/// Puts the legs of an ended exchange together and judges them by what its end says.
pub(crate) fn ended(
    legs: impl IntoIterator<Item = (Leg, Assembly)>,
    summaries: &[v1::LegSummary],
) -> Assembled {
    let mut out = Assembled {
        bodies: Vec::new(),
        trailers: Headers::default(),
        integrity: Integrity::Whole,
        faults: Vec::new(),
        withheld: Vec::new(),
    };
    let mut assemblies: std::collections::BTreeMap<Leg, Assembly> = legs.into_iter().collect();
    for summary in summaries {
        let Some(leg) = u8::try_from(summary.leg).ok().and_then(Leg::from_number) else {
            out.damaged(format!("the end speaks of an unknown leg {}", summary.leg));
            continue;
        };
        if leg == Leg::ClientResponse {
            out.trailers = v1::read_headers(summary.trailers.clone());
        }
        let assembly = assemblies.remove(&leg).unwrap_or_default();
        if summary.withheld {
            out.withheld.push((leg, summary.length));
        } else {
            out.judge(leg, assembly, summary);
        }
    }
    for (leg, assembly) in assemblies {
        if !assembly.is_empty() {
            out.damaged(format!("{leg}: bytes that the end does not speak of"));
            out.keep(leg, assembly.end(), None, 0, assembly.finish());
        }
    }
    out
}

/// Puts together what is known of an exchange that has no end: each leg up to its first hole.
pub(crate) fn so_far(legs: impl IntoIterator<Item = (Leg, Assembly)>) -> Assembled {
    let mut out = ended([], &[]);
    for (leg, assembly) in legs {
        let known = assembly.end();
        let prefix = assembly.finish_prefix();
        let missing = known - prefix.0.len() as u64;
        if missing > 0 {
            out.integrity = Integrity::Partial;
        }
        out.keep(leg, known, None, missing, prefix);
    }
    out
}

impl Assembled {
    fn damaged(&mut self, fault: String) {
        self.integrity = Integrity::Damaged;
        self.faults.push(fault);
    }

    fn judge(&mut self, leg: Leg, assembly: Assembly, summary: &v1::LegSummary) {
        let missing: u64 = assembly.holes(summary.length).iter().map(|hole| hole.end - hole.start).sum();
        let beyond = assembly.end().saturating_sub(summary.length);
        let wire: Option<[u8; 32]> = summary.hash.as_slice().try_into().ok();
        // Where redaction changed the body, what was captured has a hash of its own.
        let expected: Option<[u8; 32]> = summary.stored_hash.as_slice().try_into().ok().or(wire);
        let content = assembly.finish();
        if beyond > 0 {
            self.damaged(format!("{leg}: {beyond} bytes beyond its end of {} bytes", summary.length));
        } else if missing > summary.lost {
            self.damaged(format!("{leg}: {missing} of {} bytes are missing", summary.length));
        } else if missing > 0 || summary.lost > 0 {
            self.integrity = self.integrity.max(Integrity::Partial);
        } else if expected.is_some_and(|hash| hash != *blake3::hash(&content.0).as_bytes()) {
            self.damaged(format!("{leg}: its bytes do not match their hash"));
        }
        if summary.length > 0 {
            self.keep(leg, summary.length, wire, summary.lost, content);
        }
    }

    fn keep(
        &mut self,
        leg: Leg,
        length: u64,
        hash: Option<[u8; 32]>,
        lost: u64,
        (bytes, timeline): (bytes::Bytes, verbatim_core::model::Timeline),
    ) {
        let stored_hash = Some(*blake3::hash(&bytes).as_bytes());
        let info = LegInfo { leg, length, stored: bytes.len() as u64, hash, stored_hash, lost };
        self.bodies.push(LegBody { info, bytes, timeline });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use verbatim_proto::piece;

    use super::*;

    const LEG: Leg = Leg::ClientResponse;

    fn assembly(pieces: &[(u64, &'static str)]) -> [(Leg, Assembly); 1] {
        let mut assembly = Assembly::default();
        for (offset, text) in pieces {
            assembly.add(piece(LEG, *offset, Bytes::from_static(text.as_bytes()), &[]));
        }
        [(LEG, assembly)]
    }

    fn summary(length: u64, of: &str, lost: u64) -> v1::LegSummary {
        v1::LegSummary {
            leg: u32::from(LEG.number()),
            length,
            hash: blake3::hash(of.as_bytes()).as_bytes().to_vec(),
            lost,
            ..v1::LegSummary::default()
        }
    }

    #[test]
    fn a_body_that_matches_its_hash_is_whole() {
        let out = ended(assembly(&[(3, "def"), (0, "abc")]), &[summary(6, "abcdef", 0)]);
        assert_eq!((out.integrity, out.faults.len()), (Integrity::Whole, 0));
        assert_eq!(out.bodies[0].bytes, "abcdef");
        assert_eq!(out.bodies[0].info.hash, out.bodies[0].info.stored_hash);
    }

    #[test]
    fn declared_losses_are_partial_and_undeclared_ones_damaged() {
        let declared =
            ended(assembly(&[(0, "abc")]), &[v1::LegSummary { hash: Vec::new(), ..summary(6, "", 3) }]);
        assert_eq!(declared.integrity, Integrity::Partial);
        assert_eq!(declared.bodies[0].info.lost, 3);
        let undeclared = ended(assembly(&[(0, "abc")]), &[summary(6, "abcdef", 0)]);
        assert_eq!(undeclared.integrity, Integrity::Damaged);
        assert_eq!(undeclared.bodies[0].bytes, "abc");
    }

    #[test]
    fn wrong_bytes_and_bytes_too_many_are_damage() {
        for bad in [
            ended(assembly(&[(0, "abX")]), &[summary(3, "abc", 0)]),
            ended(assembly(&[(0, "abcd")]), &[summary(3, "abc", 0)]),
        ] {
            assert_eq!(bad.integrity, Integrity::Damaged);
            assert_eq!(bad.faults.len(), 1);
        }
    }

    #[test]
    fn without_an_end_only_the_prefix_is_kept() {
        let out = so_far(assembly(&[(0, "abc"), (5, "xyz")]));
        assert_eq!(out.bodies[0].bytes, "abc");
        assert_eq!((out.integrity, out.bodies[0].info.lost), (Integrity::Partial, 5));
        assert_eq!(so_far(assembly(&[(0, "abc")])).integrity, Integrity::Whole);
    }

    #[test]
    fn an_empty_body_is_not_stored() {
        let out = ended([], &[summary(0, "", 0)]);
        assert_eq!((out.integrity, out.bodies.len()), (Integrity::Whole, 0));
    }
}
