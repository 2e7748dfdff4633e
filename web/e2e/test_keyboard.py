"""Everything is reached by keyboard, is seen when it is, and has a name."""

import pytest
from conftest import PHONE
from playwright.sync_api import expect

PAGES = ["/", "/exchanges", "/exchanges?q=model%3Agpt-4o*", "{exchange}", "{exchange}?tab=raw", "{exchange}?tab=timeline", "/docs"]

# What can be reached and is shown: its name, and whether it would be seen to have the focus.
REACHED = """() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const seen = [element, element.closest('.q')].filter(Boolean).some((one) => {
        const style = getComputedStyle(one);
        return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || one !== element && style.boxShadow !== 'none';
    });
    const labels = [...(element.labels ?? [])].map((label) => label.textContent);
    const name = [element.getAttribute('aria-label'), element.textContent, element.title, ...labels].find((text) => text?.trim());
    element.dataset.reached ??= String(document.querySelectorAll('[data-reached]').length);
    return { key: element.dataset.reached, seen, name: name ?? null, html: element.outerHTML.slice(0, 160) };
}"""


@pytest.mark.parametrize("path", PAGES)
def test_what_has_the_focus_is_seen_and_named(open_page, relay, word, path):
    call = relay.chat(word, stream=True)
    relay.archived(call.id)
    page = open_page(path.format(exchange=f"/exchanges/{call.id}"))
    expect(page.locator("h1")).to_have_count(1)
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        at = page.evaluate(REACHED)
        if at is None or at["key"] in reached:
            break
        reached.add(at["key"])
        assert at["seen"], at["html"]
        assert at["name"], at["html"]
    assert len(reached) > 8


def test_an_exchange_is_opened_read_and_left_by_keyboard(open_page, relay, word):
    call = relay.chat(word, stream=True)
    relay.found(word, call.id)
    page = open_page(f"/exchanges?q={word}")
    expect(page.locator(".row")).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#detail .head")).to_be_visible()
    expect(page.locator("#detail")).to_be_focused()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('role')") == "tab":
            break
    expect(page.locator("#tab-conversation")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tab-timeline")).to_be_focused()
    expect(page.locator("#tab-timeline")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#tab .player")).to_be_visible()
    expect(page.locator("#tab")).to_have_attribute("aria-labelledby", "tab-timeline")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab .msg.u")).to_contain_text(word)
    page.keyboard.press("Escape")
    expect(page.locator("#detail .head")).to_have_count(0)
    expect(page.locator(f"#x-{call.id} .open")).to_be_focused()


def test_a_reader_who_wants_no_motion_gets_none(open_page, relay, word):
    call = relay.chat(word)
    page = open_page("/exchanges")
    page.emulate_media(reduced_motion="reduce")
    expect(page.locator(f"#x-{call.id}")).to_be_visible()
    later = relay.chat(word)
    expect(page.locator(f"#x-{later.id}")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0


def test_on_a_phone_figures_that_do_not_fit_are_scrolled_to_by_keyboard(open_page, relay, word):
    relay.archived(relay.chat(word).id)
    page = open_page("/exchanges", viewport=PHONE)
    figures = page.get_by_role("group", name="Figures")
    figures.focus()
    expect(figures).to_be_focused()
    expect(figures.locator(".spark")).not_to_be_in_viewport()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    expect(figures.locator(".spark")).to_be_in_viewport()
