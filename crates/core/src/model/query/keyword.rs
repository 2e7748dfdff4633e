//! The words that may stand before a colon.

use super::Field;

/// What a word before a colon asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    /// A condition on this column.
    Column(Field),
    /// `after:`, a lower bound of [`Field::Began`].
    After,
    /// `before:`, an upper bound of [`Field::Began`].
    Before,
    /// `has:`.
    Has,
    /// `in:`.
    In,
}

/// Every word, in the order in which they are listed to people.
const KEYWORDS: &[(&str, Keyword)] = &[
    ("model", Keyword::Column(Field::Model)),
    ("provider", Keyword::Column(Field::Provider)),
    ("dialect", Keyword::Column(Field::Dialect)),
    ("status", Keyword::Column(Field::Status)),
    ("outcome", Keyword::Column(Field::Outcome)),
    ("app", Keyword::Column(Field::App)),
    ("project", Keyword::Column(Field::Project)),
    ("key", Keyword::Column(Field::Key)),
    ("owner", Keyword::Column(Field::Owner)),
    ("session", Keyword::Column(Field::Session)),
    ("tag", Keyword::Column(Field::Tag)),
    ("method", Keyword::Column(Field::Method)),
    ("path", Keyword::Column(Field::Path)),
    ("error", Keyword::Column(Field::Error)),
    ("tokens", Keyword::Column(Field::Tokens)),
    ("cost", Keyword::Column(Field::Cost)),
    ("duration", Keyword::Column(Field::Duration)),
    ("after", Keyword::After),
    ("before", Keyword::Before),
    ("began", Keyword::Column(Field::Began)),
    ("stream", Keyword::Column(Field::Stream)),
    ("has", Keyword::Has),
    ("id", Keyword::Column(Field::Id)),
    ("in", Keyword::In),
];

/// What people type when they mean another word, too far off for its spelling to tell.
const MEANT: &[(&str, &str)] = &[
    ("user", "owner"),
    ("team", "project"),
    ("since", "after"),
    ("until", "before"),
    ("date", "began"),
    ("time", "began"),
    ("price", "cost"),
    ("latency", "duration"),
    ("conversation", "session"),
    ("upstream", "provider"),
    ("url", "path"),
    ("code", "status"),
    ("label", "tag"),
    ("is", "has"),
    ("type", "dialect"),
];

impl Field {
    /// The word for it in a query; for what `has:` asks about, the word behind it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HasTool => "tool",
            Self::HasError => "error",
            _ => KEYWORDS
                .iter()
                .find(|(_, keyword)| *keyword == Keyword::Column(self))
                .map_or("", |(name, _)| *name),
        }
    }
}

impl Keyword {
    /// The word as it is listed.
    pub(super) fn name(self) -> &'static str {
        KEYWORDS.iter().find(|(_, keyword)| *keyword == self).map_or("", |(name, _)| *name)
    }

    /// The keyword with this name, in whatever case.
    pub(super) fn named(word: &str) -> Option<Self> {
        KEYWORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, keyword)| *keyword)
    }
}

/// Every word that may stand before a colon, for a message.
pub(super) fn all_names() -> String {
    KEYWORDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// The keyword that was probably meant.
pub(super) fn suggestion(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    if let Some((_, meant)) = MEANT.iter().find(|(typed, _)| *typed == word) {
        return Some(meant);
    }
    closest(&word, KEYWORDS.iter().map(|(name, _)| *name))
}

/// The candidate that is spelt most like `word`, if any is near.
pub(super) fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = |name: &&str| strsim::osa_distance(word, name) <= if name.len() < 5 { 1 } else { 2 };
    candidates.filter(near).min_by_key(|name| strsim::osa_distance(word, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_misspelt_ones_suggested() {
        assert_eq!(Keyword::named("Model"), Some(Keyword::Column(Field::Model)));
        assert_eq!(Keyword::named("role"), None);
        assert_eq!(suggestion("modle"), Some("model"));
        assert_eq!(suggestion("tags"), Some("tag"));
        assert_eq!(suggestion("user"), Some("owner"));
        assert_eq!(suggestion("http"), None);
    }
}
