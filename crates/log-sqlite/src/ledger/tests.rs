use std::path::Path;

use bytes::Bytes;
use verbatim_core::model::ExchangeId;

use super::*;

fn segment(first: Sequence) -> Arc<Segment> {
    Arc::new(Segment::new(Path::new("nowhere"), first))
}

fn end(bytes: usize) -> Message {
    let payload = Bytes::from(vec![7; bytes]);
    Message { kind: MessageKind::End, gateway: "gateway".to_owned(), exchange: ExchangeId::mint(), payload }
}

fn ledger() -> Ledger {
    Ledger::new(Vec::new(), &Position::default(), 0, 0)
}

#[test]
fn a_file_that_is_begun_twice_is_kept_once_and_never_goes_while_it_is_written_to() {
    let mut ledger = ledger();
    ledger.begin_file(segment(1));
    ledger.begin_file(segment(1));
    assert_eq!(ledger.files().len(), 1);
    ledger.publish(1, vec![end(10)]);
    ledger.purge(2);
    assert!(ledger.forget_purged().is_empty());
}

#[test]
fn messages_that_are_lost_take_no_room_once_their_file_is_gone() {
    let mut ledger = ledger();
    ledger.begin_file(segment(1));
    ledger.publish(1, vec![end(1000), end(2000)]);
    assert_eq!(ledger.lose(&[2]), 1);
    ledger.begin_file(segment(3));
    ledger.publish(3, vec![end(500)]);
    assert_eq!(ledger.disk_bytes(), disk_bytes(1000) + disk_bytes(500));
    ledger.purge(3);
    assert_eq!(ledger.forget_purged().len(), 1);
    assert_eq!(ledger.disk_bytes(), disk_bytes(500));
}
