//! A simple estimate of tokens: stable, and of the right order.

/// About four ASCII characters to a token, and one token to every other character.
pub(crate) fn tokens(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let ascii = bytes.iter().filter(|byte| byte.is_ascii()).count();
    // Every other character has exactly one byte that does not continue a sequence.
    let others = bytes.iter().filter(|byte| **byte >= 0xc0).count();
    (ascii.div_ceil(4) + others) as u64
}

#[cfg(test)]
mod tests {
    use super::tokens;

    #[test]
    fn counts_scripts_apart() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("abcdefgh"), 2);
        assert_eq!(tokens("你好"), 2);
        assert_eq!(tokens("abcd 한국"), 4);
    }
}
