//! Words and phrases, and where they stand.

use verbatim_core::model::SearchDocument;

use super::{MakeWorld, document, found, search, with, with_questions, with_questions_from, write};

/// Question, answer, reasoning, tools, system prompt and error.
pub async fn a_word_is_found_in_every_field(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    let document = SearchDocument {
        reasoning: "pondering".to_owned(),
        tools: "lookup {\"city\":\"Bern\"}".to_owned(),
        system: "instructions".to_owned(),
        error: "overloaded".to_owned(),
        ..document(1, "question", "reply")
    };
    write(&*index, vec![document]).await;
    for word in ["question", "reply", "pondering", "lookup", "bern", "instructions", "overloaded"] {
        assert_eq!(found(&*index, word).await, [1], "{word}");
    }
    assert_eq!(found(&*index, "elsewhere").await, [] as [i64; 0]);
    world.close().await;
}

/// What the columns say is found by words, too.
pub async fn a_word_is_found_in_model_path_app_and_tags(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    let document = with(1, |exchange| {
        exchange.model_asked = Some("claude-sonnet".to_owned());
        exchange.path = "/v1/messages".to_owned();
        exchange.caller.app = Some("Notebook".to_owned());
        exchange.tags = vec!["nightly".to_owned(), "batch".to_owned()];
        exchange.tools_called = vec!["get_weather".to_owned()];
    });
    write(&*index, vec![document]).await;
    for word in ["claude", "claude-sonnet", "messages", "notebook", "nightly", "batch", "weather"] {
        assert_eq!(found(&*index, word).await, [1], "{word}");
    }
    world.close().await;
}

/// On either side.
pub async fn case_and_diacritics_make_no_difference(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    with_questions(&*index, &["Le Café est fermé", "a cafe in Zürich", "ÜBERSICHT"]).await;
    assert_eq!(found(&*index, "CAFÉ").await, [2, 1]);
    assert_eq!(found(&*index, "zurich").await, [2]);
    assert_eq!(found(&*index, "übersicht").await, [3]);
    world.close().await;
}

/// In whatever field each stands.
pub async fn all_words_must_be_there(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    write(&*index, vec![document(1, "red apple", "green"), document(2, "red pear", "blue")]).await;
    assert_eq!(found(&*index, "red").await, [2, 1]);
    assert_eq!(found(&*index, "green red").await, [1]);
    assert_eq!(found(&*index, "apple pear").await, [] as [i64; 0]);
    let many: Vec<_> = (10..30).map(|n| format!("word{n}")).collect();
    write(&*index, vec![document(3, &many.join(" "), ""), document(4, &many[1..].join(" "), &many[0])]).await;
    write(&*index, vec![document(5, &many[1..].join(" "), ""), document(6, &many[..19].join(" "), "")]).await;
    assert_eq!(found(&*index, &many.join(" ")).await, [4, 3], "however many they are");
    world.close().await;
}

/// Within one field, whatever stands between the words.
pub async fn a_phrase_stands_side_by_side(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    let documents = vec![
        document(1, "the quick brown fox", ""),
        document(2, "brown and quick", ""),
        document(3, "it is quick", "brown it is"),
        document(4, "Quick, BROWN!", ""),
    ];
    write(&*index, documents).await;
    assert_eq!(found(&*index, "\"quick brown\"").await, [4, 1]);
    assert_eq!(found(&*index, "quick brown").await, [4, 3, 2, 1]);
    with_questions_from(&*index, 5, &["one two, then two three", "one, two three", "two three one two"])
        .await;
    assert_eq!(found(&*index, "\"one two three\"").await, [6], "not only each two of them");
    assert_eq!(found(&*index, "one -\"one two three\"").await, [7, 5]);
    world.close().await;
}

/// Also where nothing else is asked for.
pub async fn excluded_words_and_phrases_are_absent(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    with_questions(&*index, &["red apple pie", "red pear", "green apple", "apple red"]).await;
    assert_eq!(found(&*index, "red -apple").await, [2]);
    assert_eq!(found(&*index, "-apple").await, [2]);
    assert_eq!(found(&*index, "-pear -green").await, [4, 1]);
    assert_eq!(found(&*index, "red -\"red apple\"").await, [4, 2]);
    world.close().await;
}

/// Models, tools and numbers.
pub async fn identifiers_are_found_whole_and_by_their_pieces(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    with_questions(
        &*index,
        &[
            "use mistral-8x-mini here",
            "call get_weather(city)",
            "the getUserName method",
            "it costs 1234.56 CHF",
        ],
    )
    .await;
    for (words, number) in [
        ("mistral-8x-mini", 1),
        ("mini", 1),
        ("8x", 1),
        ("get_weather", 2),
        ("weather", 2),
        ("getUserName", 3),
        ("getusername", 3),
        ("user", 3),
        ("1234.56", 4),
        ("1234", 4),
    ] {
        assert_eq!(found(&*index, words).await, [number], "{words}");
    }
    world.close().await;
}

/// Only the last word, and only if it was not quoted.
pub async fn a_word_still_being_typed_is_found_by_its_beginning(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    with_questions(&*index, &["weather forecast", "nothing"]).await;
    assert_eq!(found(&*index, "weath").await, [1]);
    assert_eq!(found(&*index, "forecast weath").await, [1]);
    assert_eq!(found(&*index, "weath forecast").await, [] as [i64; 0]);
    assert_eq!(found(&*index, "\"weath\"").await, [] as [i64; 0]);
    world.close().await;
}

/// A dash between words changes nothing.
pub async fn words_without_letters_are_passed_over(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    with_questions(&*index, &["red - green", "blue"]).await;
    assert_eq!(found(&*index, "red - green").await, [1]);
    assert_eq!(found(&*index, "-…").await, [2, 1]);
    world.close().await;
}

/// Nothing that is typed is taken for an instruction to the index.
pub async fn signs_of_any_query_language_are_only_text(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    with_questions(&*index, &["alpha OR beta NOT gamma", "alpha near beta", "plain"]).await;
    assert_eq!(found(&*index, "alpha OR beta").await, [1]);
    assert_eq!(found(&*index, "OR").await, [1]);
    assert_eq!(found(&*index, "NEAR").await, [2]);
    assert_eq!(found(&*index, "alpha AND").await, [] as [i64; 0]);
    for hostile in [
        "alpha*",
        "^alpha",
        "(alpha",
        "alpha)",
        "\"alpha\"",
        "{alpha}",
        "+alpha",
        "alpha'",
        "alpha;",
        "[alpha]",
        "alpha\\",
        "al\u{0}pha alpha",
        "%alpha%",
        "alpha\u{202e}",
    ] {
        // Whatever it means, it is an answer.
        search(&*index, hostile).await;
    }
    for hostile in ["alpha*", "^alpha", "(alpha", "alpha)", "alpha'", "[alpha]"] {
        assert_eq!(found(&*index, hostile).await, [2, 1], "{hostile}");
    }
    let quotes = r#""a \" OR \"b""#;
    assert_eq!(found(&*index, quotes).await, [] as [i64; 0]);
    let long = format!("\"{}\"", "字".repeat(1000));
    assert_eq!(found(&*index, &long).await, [] as [i64; 0]);
    let many = "word ".repeat(100);
    assert_eq!(found(&*index, &many).await, [] as [i64; 0]);
    world.close().await;
}

/// At most one a field; the marks are what was asked for.
pub async fn snippets_mark_what_was_found(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    write(
        &*index,
        vec![document(1, "The Weather in Bern", "weather: sunny weather"), document(2, "other", "")],
    )
    .await;
    let page = search(&*index, "weather").await;
    let snippets = &page.hits[0].snippets;
    let fields: Vec<_> = snippets.iter().map(|snippet| snippet.field).collect();
    assert_eq!(fields, ["asked", "answered"]);
    for (snippet, expected) in snippets.iter().zip([&["Weather"][..], &["weather", "weather"]]) {
        let marked: Vec<_> = snippet.marks.iter().map(|mark| &snippet.text[mark.clone()]).collect();
        assert_eq!(marked, expected);
    }
    let page = search(&*index, "天气 -other").await;
    assert_eq!(page.hits, []);
    let page = search(&*index, "-weather").await;
    assert_eq!(page.hits[0].snippets, [], "what is absent can't be marked");
    world.close().await;
}

/// However long the text and whatever its letters.
pub async fn snippets_are_short_and_their_marks_valid(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    let filler = "éa🙂 字字 ".repeat(1500);
    let text = format!("{filler} needle 針 {filler} Needle");
    write(&*index, vec![document(1, &text, "needle")]).await;
    for words in ["needle", "針", "\"needle 針\"", "needle 字字"] {
        let page = search(&*index, words).await;
        assert!(!page.hits[0].snippets.is_empty(), "{words}");
        for snippet in &page.hits[0].snippets {
            assert!(snippet.text.chars().count() <= 500, "{words}");
            assert!(!snippet.marks.is_empty(), "{words}");
            let mut last = 0;
            for mark in &snippet.marks {
                assert!(mark.start >= last && mark.start < mark.end, "{words}");
                assert!(snippet.text.get(mark.clone()).is_some(), "{words}");
                last = mark.end;
            }
        }
    }
    world.close().await;
}
