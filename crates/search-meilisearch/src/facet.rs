//! Values of text columns, spelt so that Meilisearch compares them as the query language does: whole or in part,
//! without regard to case, and in no other way equal.
//!
//! Meilisearch trims values, takes full-width letters for plain ones, and cuts what is long. So each value is
//! lower-cased and spelt in ASCII: what is not in [`PLAIN`] becomes `<` its code point `>`, in digits that stand nowhere
//! else, so that a part of a value is found only where it begins and ends with whole characters. `^` marks a value's
//! beginning and `$` its end, and long values become overlapping pieces. Nothing that is spelt so holds a quote or a
//! backslash: it can't be mistaken for a piece of a filter.

use verbatim_core::model::query::Pattern;

/// What stands for itself, beside letters and digits.
const PLAIN: &[u8] = b"-_./:@,=?&";

/// The digits of code points, to the base 8.
const DIGITS: [char; 8] = ['!', '#', '%', '(', ')', '*', '+', '~'];

/// The longest piece in bytes. Meilisearch keeps 468 of a value.
const PIECE: usize = 400;

/// From one piece's beginning to the next one's.
const STRIDE: usize = 200;

/// The longest part that is looked for as it is: so much stands whole in some piece, wherever it stands in the value.
const PART: usize = PIECE - STRIDE;

/// What of a value is kept, in bytes as it is spelt. What is behind is not found.
const LONGEST: usize = 8 * 1024;

/// A value as it stands in a document.
pub(crate) fn pieces(value: &str) -> Vec<String> {
    let mut whole = format!("^{}$", spelt(value));
    whole.truncate(LONGEST);
    let mut pieces = Vec::new();
    for start in (0..).step_by(STRIDE) {
        let end = whole.len().min(start + PIECE);
        pieces.push(whole[start..end].to_owned());
        if end == whole.len() {
            break;
        }
    }
    pieces
}

fn spelt(value: &str) -> String {
    let mut spelt = String::with_capacity(value.len());
    for letter in value.to_lowercase().chars() {
        if letter.is_ascii_alphanumeric() || u8::try_from(letter).is_ok_and(|byte| PLAIN.contains(&byte)) {
            spelt.push(letter);
        } else {
            let octal = format!("{:o}", u32::from(letter));
            spelt.push('<');
            spelt.extend(octal.bytes().map(|digit| DIGITS[usize::from(digit - b'0')]));
            spelt.push('>');
        }
    }
    spelt
}

/// A condition in Meilisearch's language.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) expression: String,
    /// Whether it holds of nothing else. If not, [`holds`] has to be asked, too.
    pub(crate) exact: bool,
}

/// That a value of `attribute` matches `pattern`, or, where `within` and without a star, contains it.
pub(crate) fn condition(attribute: &str, pattern: &Pattern, within: bool) -> Condition {
    if let (Some(value), false) = (pattern.exact(), within) {
        let pieces = pieces(value);
        let equal = |piece: &String| format!("{attribute} = \"{piece}\"");
        let expression = pieces.iter().map(equal).collect::<Vec<_>>().join(" AND ");
        return Condition { expression, exact: pieces.len() == 1 };
    }
    let parts = parts(pattern);
    if parts.is_empty() {
        return Condition { expression: format!("{attribute} EXISTS"), exact: true };
    }
    let exact = parts.len() == 1 && parts.iter().all(|part| part.len() <= PART);
    let stands = |part: &String| {
        let operator = if part.starts_with('^') { "STARTS WITH" } else { "CONTAINS" };
        format!("{attribute} {operator} \"{}\"", &part[..part.len().min(PART)])
    };
    Condition { expression: parts.iter().map(stands).collect::<Vec<_>>().join(" AND "), exact }
}

/// What has to stand in a value for the pattern to match.
fn parts(pattern: &Pattern) -> Vec<String> {
    let last = pattern.runs.len().saturating_sub(1);
    let part = |(index, run): (usize, &String)| {
        if run.is_empty() {
            return None;
        }
        let begins = if index == 0 && last > 0 { "^" } else { "" };
        let ends = if index == last && last > 0 { "$" } else { "" };
        Some(format!("{begins}{}{ends}", spelt(run)))
    };
    pattern.runs.iter().enumerate().filter_map(part).collect()
}

/// Whether a value of those in a document matches, as [`condition`] asks.
pub(crate) fn holds(pieces: &[String], pattern: &Pattern, within: bool) -> bool {
    let pattern = Pattern { runs: pattern.runs.iter().map(|run| spelt(run)).collect() };
    values(pieces).iter().any(|value| {
        let value = value.trim_start_matches('^').trim_end_matches('$');
        match pattern.exact() {
            Some(part) if within => value.contains(part),
            _ => pattern.matches(value),
        }
    })
}

/// Puts pieces together again: a value begins where `^` does, and each piece but its first repeats what the one before
/// ends with.
fn values(pieces: &[String]) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for piece in pieces {
        match values.last_mut() {
            Some(value) if !piece.starts_with('^') => value.push_str(piece.get(PART..).unwrap_or_default()),
            _ => values.push(piece.clone()),
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern { runs: text.split('*').map(str::to_owned).collect() }
    }

    fn condition_of(text: &str, within: bool) -> (String, bool) {
        let condition = condition("app", &pattern(text), within);
        (condition.expression, condition.exact)
    }

    #[test]
    fn usual_values_stay_readable() {
        assert_eq!(pieces("GPT-4o"), ["^gpt-4o$"]);
        assert_eq!(pieces("/v1/chat?a=b&c"), ["^/v1/chat?a=b&c$"]);
        assert_eq!(pieces("a b"), ["^a<)!>b$"]);
        assert_eq!(pieces(""), ["^$"]);
    }

    #[test]
    fn patterns_become_conditions() {
        for (text, within, expected, exact) in [
            ("gpt-4o", false, r#"app = "^gpt-4o$""#, true),
            ("gpt*", false, r#"app STARTS WITH "^gpt""#, true),
            ("*mini", false, r#"app CONTAINS "mini$""#, true),
            ("*4o*", false, r#"app CONTAINS "4o""#, true),
            ("g*i", false, r#"app STARTS WITH "^g" AND app CONTAINS "i$""#, false),
            ("*", false, "app EXISTS", true),
            ("chat", true, r#"app CONTAINS "chat""#, true),
            ("/v1*", true, r#"app STARTS WITH "^/v1""#, true),
            (r#"" OR 1=1 ""#, false, r#"app = "^<)%><)!>or<)!>1=1<)!><)%>$""#, true),
        ] {
            assert_eq!(condition_of(text, within), (expected.to_owned(), exact), "{text}");
        }
    }

    #[test]
    fn long_values_are_kept_in_pieces_that_are_looked_at_again() {
        let long: String = ('a'..='z').cycle().take(1_000).collect();
        let stored = pieces(&long);
        assert!(stored.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(values(&stored), [format!("^{long}$")]);
        let (expression, exact) = condition_of(&long, false);
        assert!(!exact && expression.matches(" AND ").count() + 1 == stored.len());
        assert!(holds(&stored, &pattern(&long), false));
        assert!(!holds(&stored, &pattern(&long[..999]), false));
        let both: Vec<_> = pieces("x").into_iter().chain(stored).chain(pieces("y")).collect();
        assert_eq!(values(&both).len(), 3);
    }

    /// What Meilisearch would answer.
    fn evaluated(expression: &str, stored: &[String]) -> bool {
        expression.split(" AND ").all(|part| {
            let (operator, value) =
                part.strip_prefix("app ").unwrap().split_once('"').unwrap_or((part, "\""));
            let value = value.trim_end_matches('"');
            match operator.trim() {
                "=" => stored.iter().any(|piece| piece == value),
                "STARTS WITH" => stored.iter().any(|piece| piece.starts_with(value)),
                "CONTAINS" => stored.iter().any(|piece| piece.contains(value)),
                _ => !stored.is_empty(),
            }
        })
    }

    proptest! {
        #[test]
        fn conditions_hold_where_patterns_match(
            value in "[aB\"'\\\\ é<>^$!Ａ天*/-]{0,12}", text in "[aB\"'\\\\ é<>^$!Ａ天/-]{0,3}\\*?[aBé<天\" -]{0,2}", within: bool
        ) {
            let value = value.repeat(40);
            let pattern = pattern(&text);
            let expected = match pattern.exact() {
                Some(part) if within => value.to_lowercase().contains(&part.to_lowercase()),
                _ => pattern.matches(&value),
            };
            let condition = condition("app", &pattern, within);
            let stored = pieces(&value);
            if stored.concat().len() < LONGEST {
                let found = evaluated(&condition.expression, &stored);
                prop_assert!(found || !expected, "{} misses {value:?}", condition.expression);
                prop_assert!(!condition.exact || found == expected, "{} finds {value:?}", condition.expression);
                prop_assert_eq!(holds(&stored, &pattern, within), expected);
            }
        }

        #[test]
        fn no_value_ends_its_quotes(text in "\\PC{0,40}|[\"'\\\\\\n\0 )(]{0,10}", within: bool) {
            let condition = condition("app", &pattern(&text), within);
            let quoted: Vec<_> = condition.expression.split('"').collect();
            prop_assert_eq!(quoted.len() % 2, 1);
            for (index, part) in quoted.iter().enumerate() {
                if index % 2 == 0 {
                    let known = ["app = ", "app STARTS WITH ", "app CONTAINS ", "app EXISTS", ""];
                    prop_assert!(known.contains(&part.trim_start_matches(" AND ")), "{part:?}");
                } else {
                    prop_assert!(part.is_ascii() && !part.contains(['\\', '\n', '\0', ' ', '\'']));
                }
            }
        }
    }
}
