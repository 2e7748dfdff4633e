//! Text and numbers as any database takes them.

use std::borrow::Cow;

/// Text without NUL, which PostgreSQL refuses and SQLite cuts at: it becomes U+FFFD.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.as_bytes().contains(&0) {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The same of a text that may be missing.
pub fn maybe(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(clean)
}

/// Each word between two line feeds, so that one condition finds a whole word; `None` without any.
pub fn join_words(list: &[String]) -> Option<String> {
    if list.is_empty() {
        return None;
    }
    let mut text = String::from("\n");
    for word in list {
        text.push_str(&clean(word).replace('\n', " "));
        text.push('\n');
    }
    Some(text)
}

/// The words of a text that [`join_words`] made.
pub fn split_words(text: Option<&str>) -> Vec<String> {
    let inner = text.and_then(|text| text.strip_prefix('\n')?.strip_suffix('\n'));
    inner.map(|inner| inner.split('\n').map(str::to_owned).collect()).unwrap_or_default()
}

/// Databases' integers are signed: what does not fit is as much as fits.
pub fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stored integer that is never below zero.
pub fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_without_what_would_part_them() {
        let words = ["red".to_owned(), "two words".to_owned(), "a\nb\0".to_owned()];
        let text = join_words(&words).unwrap();
        assert_eq!(split_words(Some(&text)), ["red", "two words", "a b\u{fffd}"]);
        assert_eq!(join_words(&[]), None);
        assert!(split_words(None).is_empty() && split_words(Some("")).is_empty());
    }
}
