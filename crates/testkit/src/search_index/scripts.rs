//! Languages that are written without spaces, and Korean, whose words take endings.

use super::{MakeWorld, found, search, with_questions};

/// At the beginning, in the middle and at the end of a run; one character finds, too.
pub async fn chinese_is_found_by_two_characters(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    with_questions(&*index, &["今天北京的天气预报怎么样？", "请翻译这句话。", "天文学，气象学"]).await;
    for (words, expected) in [
        ("天气", &[1][..]),
        ("今天", &[1]),
        ("预报", &[1]),
        ("翻译", &[2]),
        ("天气预报", &[1]),
        ("北京 天气", &[1]),
        ("\"北京的天气\"", &[1]),
        ("气天", &[]),
        ("话", &[2]),
    ] {
        assert_eq!(found(&*index, words).await, expected, "{words}");
    }
    let page = search(&*index, "天气").await;
    let snippet = &page.hits[0].snippets[0];
    let marked: Vec<_> = snippet.marks.iter().map(|mark| &snippet.text[mark.clone()]).collect();
    assert_eq!(marked, ["天气"]);
    world.close().await;
}

/// Kanji, kana and both.
pub async fn japanese_is_found_by_two_characters(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    with_questions(&*index, &["東京タワーの写真を見せてください", "日本語を勉強しています"]).await;
    for (words, expected) in
        [("東京", &[1][..]), ("写真", &[1]), ("日本", &[2]), ("勉強", &[2]), ("タワー", &[1]), ("京都", &[])]
    {
        assert_eq!(found(&*index, words).await, expected, "{words}");
    }
    world.close().await;
}

/// With and without its endings.
pub async fn korean_is_found_by_two_characters(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    with_questions(&*index, &["오늘 서울의 날씨는 어때요?", "한국어를 공부합니다"]).await;
    for (words, expected) in
        [("날씨", &[1][..]), ("서울", &[1]), ("한국", &[2]), ("공부", &[2]), ("부산", &[])]
    {
        assert_eq!(found(&*index, words).await, expected, "{words}");
    }
    world.close().await;
}

/// A phrase reaches from one script into the other.
pub async fn mixed_scripts_are_found_as_phrases(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    with_questions(&*index, &["用 GPT-4o 写一首诗", "写诗的GPT"]).await;
    assert_eq!(found(&*index, "gpt").await, [2, 1]);
    assert_eq!(found(&*index, "\"GPT-4o 写一首\"").await, [1]);
    assert_eq!(found(&*index, "诗 GPT").await, [2, 1]);
    world.close().await;
}
