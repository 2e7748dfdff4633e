//! The parameters in the query and the fragment of a URL, or of the URLs that a header's value holds.

/// What a parameter can stand behind, and what ends its name or, for all that is known, its value: in it another URL
/// may begin.
const fn parts(byte: u8) -> bool {
    matches!(byte, b'&' | b';' | b'?' | b'#' | b'<' | b'>' | b'"' | b' ' | b'\t')
}

/// The names of the parameters from `query` on, the place of a URL's first `?` or `#`, and where their values begin.
/// Those without a value, or with a name that is no text, are left out.
pub(super) fn parameters(text: &[u8], query: usize) -> impl Iterator<Item = (&str, usize)> {
    let mut at = query;
    std::iter::from_fn(move || {
        while at < text.len() {
            let opens = matches!(text[at], b'&' | b';' | b'?' | b'#');
            let begin = at + usize::from(parts(text[at]));
            let end =
                text[begin..].iter().position(|byte| parts(*byte)).map_or(text.len(), |end| begin + end);
            at = end;
            let name = text[begin..end].iter().position(|byte| *byte == b'=').filter(|_| opens);
            if let Some(length) = name.filter(|length| begin + length + 1 < end)
                && let Ok(name) = std::str::from_utf8(&text[begin..begin + length])
            {
                return Some((name, begin + length + 1));
            }
        }
        None
    })
}

/// Where a value ends for certain. No URL has `>` or spaces in it, and a header's value may go on behind them
/// (RFC 8288).
pub(super) fn value_end(text: &[u8], value: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b'&' | b'#' | b'>' | b' ' | b'\t');
    text[value..].iter().position(ends).map_or(text.len(), |length| value + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Vec<(&str, &str)> {
        let query = text.find(['?', '#']).unwrap_or(text.len());
        let value = |value| &text[value..value_end(text.as_bytes(), value)];
        parameters(text.as_bytes(), query).map(|(name, at)| (name, value(at))).collect()
    }

    #[test]
    fn parameters_stand_behind_the_marks_of_a_url() {
        assert_eq!(found("/a&b=0?c=1&d&e=&f=2=3#g=4"), [("c", "1"), ("f", "2=3"), ("g", "4")]);
        assert_eq!(found("</a?b=1>; c=d, </e?f=2>"), [("b", "1"), ("f", "2")]);
        assert_eq!(found("?a=1;b=2"), [("a", "1;b=2"), ("b", "2")]);
        assert_eq!(found("?a=1?b=2&c=3"), [("a", "1?b=2"), ("b", "2"), ("c", "3")]);
        assert_eq!(found("a?"), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..80), at in 0usize..80) {
            let mut last = 0;
            for (_, value) in parameters(&bytes, at.min(bytes.len())) {
                prop_assert!(last < value && value < bytes.len());
                last = value;
            }
        }
    }
}
