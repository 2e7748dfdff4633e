//! Which language a text is in, by its script.

/// A language that the mock answers in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    English,
    Chinese,
    Japanese,
    Korean,
}

impl Language {
    /// The language of a text: Japanese if there is kana in it, then Korean, then Chinese, else English.
    pub(crate) fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self::English;
        }
        let (mut hangul, mut han) = (false, false);
        for character in text.chars() {
            match script(character) {
                Script::Kana => return Self::Japanese,
                Script::Hangul => hangul = true,
                Script::Han => han = true,
                Script::Other => {}
            }
        }
        match (hangul, han) {
            (true, _) => Self::Korean,
            (false, true) => Self::Chinese,
            (false, false) => Self::English,
        }
    }
}

enum Script {
    Kana,
    Hangul,
    Han,
    Other,
}

fn script(character: char) -> Script {
    match character {
        '\u{3040}'..='\u{30ff}' => Script::Kana,
        '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7af}' => Script::Hangul,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{2fa1f}' => Script::Han,
        _ => Script::Other,
    }
}

/// Whether a character belongs to a script that is written without spaces, or nearly so.
pub(crate) fn is_cjk(character: char) -> bool {
    !matches!(script(character), Script::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_languages_by_script() {
        assert_eq!(Language::of("What is a borrow checker?"), Language::English);
        assert_eq!(Language::of("Café naïve"), Language::English);
        assert_eq!(Language::of("什么是所有权？"), Language::Chinese);
        assert_eq!(Language::of("所有権とは何ですか"), Language::Japanese);
        assert_eq!(Language::of("소유권이란 무엇인가요?"), Language::Korean);
    }
}
