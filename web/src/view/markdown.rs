//! Markdown from models, made harmless: raw HTML is shown as the text it is, nothing is loaded from elsewhere,
//! links go only to the web.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, html};

/// Quotes and lists nest so deep at most. The sanitiser takes time by the square of it, and nobody reads such text as
/// anything but what it is.
const DEEPEST: usize = 50;

/// HTML that may stand in a page as it is.
pub(crate) fn render(text: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut links = Vec::new();
    let mut out = String::with_capacity(text.len() * 3 / 2);
    if is_too_deep(Parser::new_ext(text, options)) {
        let block = Tag::CodeBlock(CodeBlockKind::Indented);
        let end = block.to_end();
        html::push_html(
            &mut out,
            [Event::Start(block), Event::Text(text.into()), Event::End(end)].into_iter(),
        );
    } else {
        let events = Parser::new_ext(text, options).flat_map(|event| harmless(event, &mut links));
        html::push_html(&mut out, events);
    }
    SANITISER.clean(&out).to_string()
}

fn is_too_deep<'a>(events: impl Iterator<Item = Event<'a>>) -> bool {
    let mut depth = 0_usize;
    for event in events {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

fn harmless<'a>(event: Event<'a>, images: &mut Vec<CowStr<'a>>) -> Vec<Event<'a>> {
    match event {
        Event::Html(html) | Event::InlineHtml(html) => vec![Event::Text(html)],
        Event::Start(Tag::HtmlBlock) => vec![Event::Start(Tag::Paragraph)],
        Event::End(TagEnd::HtmlBlock) => vec![Event::End(TagEnd::Paragraph)],
        // A remote image would tell its host who reads what, and when: its address is shown instead.
        Event::Start(Tag::Image { dest_url, .. }) if !is_inline_image(&dest_url) => {
            images.push(dest_url.clone());
            vec![
                Event::Text("🖼 ".into()),
                Event::Start(Tag::Link {
                    link_type: LinkType::Inline,
                    dest_url,
                    title: CowStr::Borrowed(""),
                    id: CowStr::Borrowed(""),
                }),
            ]
        }
        Event::Start(Tag::Image { ref dest_url, .. }) => {
            images.push(dest_url.clone());
            vec![event]
        }
        Event::End(TagEnd::Image) => match images.pop() {
            Some(address) if !is_inline_image(&address) => {
                vec![Event::Text(format!(" {address}").into()), Event::End(TagEnd::Link)]
            }
            _ => vec![Event::End(TagEnd::Image)],
        },
        event => vec![event],
    }
}

/// Whether it is a picture that is here already, of a kind that can't hold a program.
pub(crate) fn is_inline_image(address: &str) -> bool {
    ["png", "jpeg", "jpg", "gif", "webp"].iter().any(|kind| {
        let head = format!("data:image/{kind};base64,");
        address.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(&head))
            && address[head.len()..]
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
    })
}

static SANITISER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let mut builder = ammonia::Builder::empty();
    builder
        .tags(HashSet::from([
            "a",
            "blockquote",
            "br",
            "code",
            "del",
            "em",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "img",
            "li",
            "ol",
            "p",
            "pre",
            "strong",
            "table",
            "tbody",
            "td",
            "th",
            "thead",
            "tr",
            "ul",
        ]))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href"])),
            ("img", HashSet::from(["src", "alt"])),
            ("ol", HashSet::from(["start"])),
        ]))
        .url_schemes(HashSet::from(["http", "https", "mailto", "data"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .attribute_filter(|element, attribute, value| match (element, attribute) {
            ("img", "src") => is_inline_image(value).then(|| value.into()),
            ("a", "href") => {
                let lower = value.trim_start().to_ascii_lowercase();
                ["http://", "https://", "mailto:"]
                    .iter()
                    .any(|scheme| lower.starts_with(scheme))
                    .then(|| value.into())
            }
            _ => Some(value.into()),
        })
        .set_tag_attribute_value("a", "target", "_blank")
        .link_rel(Some("noopener noreferrer nofollow"));
    builder
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_markdown_is_laid_out() {
        let html = render("# Title\n\n*a* **b** `c`\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n1. one\n");
        for part in ["<h1>Title</h1>", "<em>a</em>", "<code>c</code>", "<td>2</td>", "<ol>"] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn what_nests_deeper_than_anybody_writes_is_shown_as_it_is() {
        // Not dashes: a line of those alone is a rule.
        for marker in [">", "> ", "1. ", "+ "] {
            let html = render(&marker.repeat(2_000));
            assert!(
                html.starts_with("<pre><code>") && html.len() < 10_000 + marker.len() * 8_000,
                "{marker}"
            );
            assert!(!html.contains("<blockquote>") && !html.contains("<li>"), "{marker}");
        }
        assert!(render(&"> ".repeat(10)).contains("<blockquote>"));
    }

    #[test]
    fn raw_html_is_shown_and_not_run() {
        for text in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<svg/onload=alert(1)>",
            "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<style>*{display:none}</style>",
            "<div onclick=alert(1)>",
            "<!-- <script>alert(1)</script> -->",
        ] {
            let html = render(text);
            assert!(html.contains("&lt;"), "{html}");
            for tag in ["<script", "<img", "<svg", "<iframe", "<style", "<div", "<a "] {
                assert!(!html.contains(tag), "{tag} in {html}");
            }
        }
    }

    #[test]
    fn links_go_only_to_the_web_and_carry_no_opener() {
        for target in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java&#x73;cript:alert(1)",
            "&#106;avascript:alert(1)",
            "data:text/html;base64,PHNjcmlwdD4=",
            "vbscript:x",
            "file:///etc/passwd",
            "/logout",
            "//evil.example",
            "\u{1}javascript:alert(1)",
        ] {
            let html = render(&format!("[click]({target})"));
            assert!(!html.contains("href"), "{target}: {html}");
        }
        let html = render("[ok](https://example.com/a?b=c)");
        assert!(html.contains("href=\"https://example.com/a?b=c\""), "{html}");
        assert!(html.contains("rel=\"noopener noreferrer nofollow\"") && html.contains("target=\"_blank\""));
    }

    #[test]
    fn remote_images_become_links_and_inline_pictures_stay() {
        let html = render("![chart](https://evil.example/pixel.png)");
        assert!(!html.contains("<img"), "{html}");
        assert!(html.contains("https://evil.example/pixel.png") && html.contains("chart"));
        assert!(render("![dot](data:image/png;base64,iVBORw0KGgo=)").contains("<img"));
        for address in
            ["data:image/svg+xml;base64,PHN2Zz4=", "data:text/html,<script>", "data:image/png;base64,\"x"]
        {
            assert!(!render(&format!("![x](<{address}>)")).contains("<img"), "{address}");
        }
    }

    #[test]
    fn no_style_class_or_id_gets_through() {
        let html = render("```js onload=alert(1)\ncode\n```");
        assert!(!html.contains("class=") && !html.contains("onload"), "{html}");
    }
}
