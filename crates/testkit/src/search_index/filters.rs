//! Conditions on columns.

use verbatim_core::model::{Dialect, Outcome};

use super::{MakeWorld, document, found, id, with, write};
use crate::ExchangeBuilder;

/// Each finds its exchange, in whatever case, and not the other.
pub async fn every_field_filters(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    let one = with(1, |exchange| {
        exchange.provider = "Claude".to_owned();
        exchange.dialect = Dialect::Anthropic;
        exchange.model_asked = Some("claude-sonnet-4".to_owned());
        exchange.model_served = Some("claude-sonnet-4-20250514".to_owned());
        exchange.status = Some(529);
        exchange.outcome = Outcome::UpstreamError;
        exchange.error = Some("Overloaded: try later".to_owned());
        exchange.method = "PUT".to_owned();
        exchange.path = "/v1/messages?beta=true".to_owned();
        exchange.caller.app = Some("My App/1.0".to_owned());
        exchange.caller.project = Some("alpha".to_owned());
        exchange.caller.key = Some("key-7".to_owned());
        exchange.caller.owner = Some("ada".to_owned());
        exchange.session = Some("s-1".to_owned());
        exchange.tags = vec!["red".to_owned(), "dark blue".to_owned()];
        exchange.tools_called = vec!["search".to_owned()];
        exchange.streamed = true;
        exchange.usage.total_tokens = Some(1_000);
        exchange.cost_micros = Some(20_000);
        exchange.duration_us = Some(2_500_000);
    });
    write(&*index, vec![one, document(2, "", "")]).await;
    let began = id(1).time();
    for filter in [
        "provider:claude",
        "dialect:anthropic,gemini",
        "model:claude-sonnet-4",
        "model:CLAUDE-sonnet-4-20250514",
        "model:claude*,o3",
        "model:c*sonnet*4",
        "model:*sonnet*2025*",
        "status:529",
        "status:5xx",
        "status:>200",
        "outcome:upstream_error,refused",
        "error:overloaded",
        "error:*later",
        "method:put",
        "path:messages",
        "path:/v1/messages*",
        "app:\"my app/1.0\"",
        "app:*app*",
        "project:alpha",
        "key:key-7",
        "owner:ada",
        "session:s-1",
        "tag:red",
        "tag:\"dark blue\"",
        "tag:dark*",
        "has:tool",
        "has:error",
        "stream:true",
        "tokens:>999",
        "tokens:500..1000",
        "cost:>0.01",
        "cost:0.02",
        "duration:>2s",
        "duration:2s..3s",
        &format!("before:{}", id(2).time()),
        &format!("began:{began}..{began}"),
        &format!("id:{}", id(1)),
    ] {
        assert_eq!(found(&*index, filter).await, [1], "{filter}");
        assert_eq!(found(&*index, &format!("-{filter}")).await, [2], "-{filter}");
    }
    assert_eq!(found(&*index, &format!("after:{}", id(2).time())).await, [2]);
    assert_eq!(found(&*index, "after:2h").await, [] as [i64; 0]);
    assert_eq!(found(&*index, "after:7d").await, [2, 1]);
    world.close().await;
}

/// What has no value is not the excluded one.
pub async fn excluding_keeps_what_is_not_known(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    let bare = with(1, |exchange| {
        exchange.model_asked = None;
        exchange.model_served = None;
        exchange.status = None;
        exchange.duration_us = None;
        exchange.usage = Default::default();
    });
    write(&*index, vec![bare, document(2, "", "")]).await;
    for filter in ["model:gpt-4o", "status:200", "duration:>0s", "tokens:>0", "model:*"] {
        assert_eq!(found(&*index, filter).await, [2], "{filter}");
        assert_eq!(found(&*index, &format!("-{filter}")).await, [1], "-{filter}");
    }
    world.close().await;
}

/// A filter's value is compared, never run.
pub async fn values_of_filters_are_only_text(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    let one = with(1, |exchange| exchange.caller.app = Some("100% \"x\" = 'y' OR a_b".to_owned()));
    write(&*index, vec![one, with(2, |exchange| exchange.caller.app = Some("plain".to_owned()))]).await;
    assert_eq!(found(&*index, r#"app:"100% \"x\" = 'y' OR a_b""#).await, [1]);
    for value in
        [r#"app:"' OR 1=1 --""#, r#"app:"\" OR app = \"plain""#, "app:%", "app:pl_in", "app:\"\\\\\""]
    {
        assert_eq!(found(&*index, value).await, [] as [i64; 0], "{value}");
    }
    let alike = ["ｐlain", "plaín", "plain\u{0}", "\"plain", "plain\\", "^plain$", "<plain>"];
    let documents = alike
        .iter()
        .zip(3..)
        .map(|(app, n)| with(n, |exchange| exchange.caller.app = Some((*app).to_owned())));
    write(&*index, documents.collect()).await;
    assert_eq!(found(&*index, "app:plain").await, [2], "nothing else is equal");
    let long = format!("{}plain{}", "long ".repeat(90), " value".repeat(70));
    let other = format!("{long}s");
    let documents = [&long, &other]
        .into_iter()
        .zip(20..)
        .map(|(app, n)| with(n, |exchange| exchange.caller.app = Some(app.clone())));
    write(&*index, documents.collect()).await;
    assert_eq!(found(&*index, &format!("app:\"{long}\"")).await, [20], "however long");
    assert_eq!(found(&*index, "app:\"*g plain v*\"").await, [21, 20]);
    world.close().await;
}

/// Both must.
pub async fn words_and_filters_hold_together(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    let documents = (1..=6)
        .map(|n| {
            let tag = if n % 2 == 0 { "even" } else { "odd" };
            let word = if n % 3 == 0 { "third" } else { "other" };
            ExchangeBuilder::new(id(n))
                .with(|exchange| exchange.tags = vec![tag.to_owned()])
                .document(word, "")
        })
        .collect();
    write(&*index, documents).await;
    assert_eq!(found(&*index, "third tag:even").await, [6]);
    assert_eq!(found(&*index, "other tag:even").await, [4, 2]);
    assert_eq!(found(&*index, "other -tag:even").await, [5, 1]);
    assert_eq!(found(&*index, "-third -tag:even").await, [5, 1]);
    assert_eq!(found(&*index, "third tag:none").await, [] as [i64; 0]);
    world.close().await;
}

/// And an empty query lists all.
pub async fn a_query_without_words_lists_what_filters_leave(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    write(
        &*index,
        vec![document(1, "a", ""), with(2, |exchange| exchange.status = Some(404)), document(3, "b", "")],
    )
    .await;
    assert_eq!(found(&*index, "").await, [3, 2, 1]);
    assert_eq!(found(&*index, "status:404").await, [2]);
    world.close().await;
}
