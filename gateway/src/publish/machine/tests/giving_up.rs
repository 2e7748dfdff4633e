//! What is lost of an exchange that nobody takes.

use super::*;

#[test]
fn given_up_are_all_bytes_that_nobody_stored_whatever_they_wait_in() {
    let mut bench = Bench::new();
    bench.run(Step::Chunk { request: true, length: 1000 });
    assert_eq!(bench.machine.given_up(true), GivenUp::All);
    bench.run(Step::Take);
    assert_eq!(bench.machine.given_up(true), GivenUp::All);
    bench.run(Step::Confirm(0));
    assert_eq!(bench.machine.given_up(true), GivenUp::Bytes(0));
    bench.run(Step::Chunk { request: false, length: FLUSH_BYTES });
    bench.run(Step::Take);
    assert_eq!(bench.machine.given_up(true), GivenUp::Bytes(FLUSH_BYTES), "on its way");
    bench.run(Step::Fail(1));
    assert_eq!(bench.machine.given_up(true), GivenUp::Bytes(FLUSH_BYTES), "to be sent again");
    bench.run(Step::ToSpool);
    for _ in ["what the log holds", "the part"] {
        bench.run(Step::Take);
        bench.run(Step::Confirm(0));
    }
    assert_eq!(bench.machine.given_up(true), GivenUp::Bytes(0));
    assert_eq!(bench.machine.given_up(false), GivenUp::Bytes(FLUSH_BYTES), "its start is in the log");
    bench.run(Step::Chunk { request: false, length: 500 });
    bench.run(Step::End);
    bench.run(Step::Take);
    bench.run(Step::Fail(1));
    assert_eq!(bench.machine.given_up(true), GivenUp::Bytes(500), "in its end");
}

#[test]
fn an_exchange_that_is_nowhere_but_in_a_spool_that_can_not_be_read_is_given_up_as_a_whole() {
    let mut bench = Bench::new();
    bench.run(Step::Take);
    bench.run(Step::Fail(1));
    bench.run(Step::ToSpool);
    bench.run(Step::Take);
    bench.run(Step::Confirm(0));
    assert_eq!(bench.machine.given_up(true), GivenUp::Bytes(0));
    assert_eq!(bench.machine.given_up(false), GivenUp::All);
}
