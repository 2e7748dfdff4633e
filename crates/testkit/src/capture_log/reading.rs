//! Reading by place, and one gateway's messages.

use verbatim_core::ports::{MessageKind, Sequence};

use super::{MakeWorld, NEVER, append, message, part};

/// Twice the same is answered twice.
pub async fn reading_answers_in_the_order_asked_and_none_for_what_is_not_held(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let appended = append(&*log, vec![part("a"), part("b"), part("c")]).await;
    let asked = [appended[2], 0, appended[0], appended[2] + 1, appended[2]];
    let expected = [Some("c"), None, Some("a"), None, Some("c")];
    for reopened in [false, true] {
        let log = if reopened { world.open().await } else { log.clone() };
        let read = log.read(&asked).await.unwrap();
        let texts: Vec<_> =
            read.iter().map(|read| read.as_ref().map(|message| &message.payload[..])).collect();
        assert_eq!(texts, expected.map(|text| text.map(str::as_bytes)));
        assert!(log.read(&[]).await.unwrap().is_empty());
        world.close().await;
    }
}

/// Of every kind, within bounds that count.
pub async fn scanning_gives_one_gateways_messages_in_order(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let mut mine = Vec::new();
    for round in 0..6 {
        let kind = [MessageKind::Start, MessageKind::Part, MessageKind::End][round % 3];
        let messages = vec![message(kind, "mine", format!("mine {round}")), message(kind, "other", "other")];
        let appended = append(&*log, messages.clone()).await;
        mine.push((appended[0], messages[0].clone()));
    }
    let all = log.scan("mine", 0, Sequence::MAX >> 1, 100, usize::MAX).await.unwrap();
    assert_eq!(all, mine);
    let (from, to) = (mine[1].0, mine[3].0);
    assert_eq!(log.scan("mine", from, to, 100, usize::MAX).await.unwrap(), mine[1..=3]);
    assert_eq!(log.scan("mine", from + 1, to - 1, 100, usize::MAX).await.unwrap(), mine[2..=2]);
    assert!(log.scan("nobody", 0, Sequence::MAX >> 1, 100, usize::MAX).await.unwrap().is_empty());
    assert!(log.scan("mine", to, from, 100, usize::MAX).await.unwrap().is_empty());
    log.purge(mine[2].0).await.unwrap();
    assert_eq!(log.scan("mine", 0, Sequence::MAX >> 1, 100, usize::MAX).await.unwrap(), mine[2..]);
    world.close().await;
}

/// By number and by bytes, one message at least a page, none twice, none left out.
pub async fn scanning_goes_on_page_by_page(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let mut mine = Vec::new();
    for n in 0..9 {
        let messages = vec![message(MessageKind::Part, "mine", vec![n; 1000]), part("other")];
        mine.push((append(&*log, messages.clone()).await[0], messages[0].clone()));
    }
    for (limit, bytes, most) in [(2, usize::MAX, 2), (100, 3500, 3), (100, 1, 1)] {
        let (mut from, mut paged) = (0, Vec::new());
        loop {
            let page = log.scan("mine", from, Sequence::MAX >> 1, limit, bytes).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            assert!(page.len() <= most, "{} with {limit} and {bytes}", page.len());
            from = last + 1;
            paged.extend(page);
        }
        assert_eq!(paged, mine);
    }
    world.close().await;
}
