"""What is called shows up by itself."""

import re
import threading

from playwright.sync_api import expect


def test_a_call_appears_in_the_list_without_a_reload(open_page, relay, word):
    page = open_page("/exchanges")
    page.evaluate("window.stayed = true")
    call = relay.chat(f"hello {word}")
    row = page.locator(f"#x-{call.id}")
    expect(row).to_be_visible()
    expect(row).to_contain_text(word)
    expect(row).to_contain_text("completed")
    assert page.evaluate("window.stayed") is True


def test_a_running_call_is_a_row_that_counts_up_and_then_settles(open_page, relay, word):
    page = open_page("/exchanges")
    calls = []
    directives = "chunks=20; chunk-delay=200ms"
    caller = threading.Thread(target=lambda: calls.append(relay.chat(word, stream=True, directives=directives)))
    caller.start()
    row = page.locator(".row", has_text=word)
    expect(row).to_contain_text("streaming")
    expect(row.locator(".d")).to_have_text(re.compile(r"^[1-9]\d*\.\d s$"))
    caller.join()
    expect(row).to_contain_text("completed")
    expect(row).to_have_count(1)
    assert row.get_attribute("data-id") == calls[0].id


def test_only_what_matches_the_query_appears(open_page, relay, word):
    page = open_page(f"/exchanges?q={word}")
    expect(page.locator("#nothing")).to_be_visible()
    relay.chat("something else entirely")
    call = relay.chat(f"about {word} it is")
    expect(page.locator(f"#x-{call.id}")).to_be_visible()
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(f"#x-{call.id} .q mark")).to_have_text(word)


def test_nothing_moves_under_a_reader_who_has_scrolled_down(open_page, relay, word):
    for at in range(40):
        call = relay.chat(f"filler {at} {word}")
    relay.archived(call.id)
    page = open_page("/exchanges")
    expect(page.locator(".row").nth(30)).to_be_attached()
    page.locator("#results").evaluate("element => { element.scrollTop = 700; }")
    watched = page.locator(".row").nth(20)
    before = watched.bounding_box()
    call = relay.chat(f"newer {word}")
    expect(page.locator("#newer")).to_be_visible()
    assert abs(watched.bounding_box()["y"] - before["y"]) < 1
    page.locator("#newer").click()
    expect(page.locator(f"#x-{call.id}")).to_be_visible()


def test_live_can_be_switched_off_and_on(open_page, relay, word):
    page = open_page("/exchanges")
    page.keyboard.press("l")
    expect(page.locator("#live")).to_have_attribute("aria-pressed", "false")
    call = relay.chat(f"quiet {word}")
    relay.archived(call.id)
    expect(page.locator(f"#x-{call.id}")).to_have_count(0)
    page.keyboard.press("l")
    expect(page.locator(f"#x-{call.id}")).to_be_visible()


def test_the_figures_follow_the_query(open_page, relay, word):
    for at in range(3):
        call = relay.chat(f"{word} {at}")
    relay.found(word, call.id)
    page = open_page("/exchanges")
    page.locator("#q").fill(f"{word}")
    figures = page.locator("#sum")
    expect(figures).to_contain_text(re.compile(r"^3\s*calls"))
    expect(figures).to_contain_text("all that was found")
    relay.chat(f"{word} again")
    expect(figures).to_contain_text(re.compile(r"^4\s*calls"), timeout=15_000)
    expect(page.locator(".total")).to_have_text(re.compile(r"^4\s"))
