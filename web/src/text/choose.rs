//! Which language a reader wants.

use http::{HeaderMap, header};

use super::{EN, Text, ZH};
use crate::security::cookie;

/// A language that pages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Chinese,
}

impl Language {
    pub(crate) const COOKIE: &'static str = "verbatim_lang";

    /// By its code in cookies and forms.
    pub(crate) fn from_code(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    pub(crate) fn text(self) -> &'static Text {
        match self {
            Self::English => &EN,
            Self::Chinese => &ZH,
        }
    }

    /// As chosen before (cookie), else as the browser asks (RFC 9110, section 12.5.4), else English.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if let Some(chosen) = cookie(headers, Self::COOKIE).and_then(Self::from_code) {
            return chosen;
        }
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let mut best: Option<(f32, Self)> = None;
        for range in accepted.unwrap_or_default().split(',') {
            let (tag, quality) = range.split_once(";q=").unwrap_or((range, "1"));
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let (Some(language), Ok(quality)) = (Self::from_code(&primary), quality.trim().parse::<f32>())
            else {
                continue;
            };
            if quality > 0.0 && best.is_none_or(|(best, _)| quality > best) {
                best = Some((quality, language));
            }
        }
        best.map_or(Self::English, |(_, language)| language)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(accept: &'static str, cookie: &'static str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(accept));
        headers.insert(header::COOKIE, HeaderValue::from_static(cookie));
        Language::of(&headers)
    }

    #[test]
    fn the_browser_is_followed_unless_a_language_was_chosen() {
        assert_eq!(asked("zh-CN,zh;q=0.9,en;q=0.8", ""), Language::Chinese);
        assert_eq!(asked("de, en;q=0.5, zh;q=0.7", ""), Language::Chinese);
        assert_eq!(asked("fr", ""), Language::English);
        assert_eq!(asked("zh-CN", "a=b; verbatim_lang=en"), Language::English);
        assert_eq!(asked(";;;q=,=", "verbatim_lang=xx"), Language::English);
    }
}
