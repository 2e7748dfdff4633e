"""A streamed answer plays again as it came."""

import re

from playwright.sync_api import expect


def played(relay, open_page, messages, *, delay=100):
    call = relay.chat(messages, stream=True, directives=f"chunks=20; chunk-delay={delay}ms")
    relay.archived(call.id)
    return open_page(f"/exchanges/{call.id}?tab=timeline")


def test_an_answer_plays_to_its_end_and_from_any_place(open_page, relay, word):
    page = played(relay, open_page, word)
    player = page.locator(".player")
    expect(player.locator(".played")).to_be_hidden()
    player.get_by_label("Speed").select_option("10")
    player.get_by_role("button", name="Play").click()
    text = player.locator(".played .words").first
    expect(player.get_by_role("button", name="Pause")).to_be_visible()
    expect(player.get_by_role("button", name="Play")).to_be_visible()
    expect(player.locator("output")).to_have_text(re.compile(r"(\S+ \S+) / \1 · (\d+)/\2$"))
    whole = text.text_content()
    assert word in whole
    page.locator(".tl").last.click(position={"x": 300, "y": 20})
    part = text.text_content()
    assert whole.startswith(part) and len(part) < len(whole)


def test_chunks_are_walked_by_keyboard(open_page, relay, word):
    page = played(relay, open_page, word)
    scrub = page.get_by_label("Position")
    scrub.focus()
    seen = []
    for _ in range(6):
        page.keyboard.press("ArrowRight")
        expect(page.locator(".player output")).to_contain_text(f"{len(seen) + 1}/")
        seen.append(page.locator(".played").text_content())
    assert all(after.startswith(before) for before, after in zip(seen, seen[1:]))
    assert len(set(seen)) > 2
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".played")).to_have_text(seen[-2])
    expect(scrub).to_have_attribute("aria-valuetext", re.compile(r" / "))
    page.keyboard.press("Home")
    expect(page.locator(".played")).to_have_text("")
    page.keyboard.press("End")
    expect(page.locator(".played")).to_contain_text(word)
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_what_is_played_never_runs(open_page, relay, word):
    evil = f"{word} <script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
    # The mock says again what a tool gave back, so that the answer is hostile.
    page = played(relay, open_page, [
        {"role": "user", "content": word},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "x", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": evil},
    ], delay=1)
    page.get_by_label("Position").focus()
    page.keyboard.press("End")
    expect(page.locator(".played")).to_contain_text("<script>")
    assert page.locator(".played img, .played script").count() == 0
    assert page.evaluate("window.pwned") is None
