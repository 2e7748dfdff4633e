"""The open page of a call that goes on follows it, and the reader keeps their place."""

import re
import threading

from playwright.sync_api import expect


def test_an_opened_call_shows_up_by_itself_when_it_ends(open_page, relay, word):
    calls = []
    directives = "chunks=20; chunk-delay=150ms"
    caller = threading.Thread(target=lambda: calls.append(relay.chat(word, stream=True, directives=directives)))
    page = open_page("/exchanges")
    caller.start()
    page.locator(".row", has_text=word).locator(".open").click()
    expect(page.locator("#detail .nothing")).to_be_visible()
    expect(page.locator("#detail .head")).to_contain_text("completed")
    expect(page.locator("#tab")).to_contain_text(word)
    caller.join()
    expect(page.locator("#detail .head")).to_have_attribute("data-exchange", calls[0].id)


def test_a_checkpoint_is_replaced_in_place(open_page, relay, word):
    """A call is checkpointed after minutes only: the first page is made to look like that of a checkpoint."""
    messages = [{"role": "system", "content": f"be brief {word}"}]
    messages += [{"role": "user", "content": f"turn {at} " + "and on " * 60} for at in range(60)]
    call = relay.chat(messages)
    relay.archived(call.id)

    def earlier(route):
        response = route.fetch()
        html = response.text()
        html = html.replace(f'data-exchange="{call.id}"', f'data-exchange="{call.id}" data-running="1" data-now="61000" data-seen="running"')
        html = re.sub(r'(?s)(<section class="msg as">).*?</section>', r"\1as far as it came</section>", html)
        route.fulfill(response=response, body=html)

    page = open_page("/exchanges")
    page.clock.install()
    page.route(f"**/exchanges/{call.id}", earlier)
    page.goto(f"/exchanges/{call.id}")
    expect(page.locator("#tab .msg.as")).to_have_text("as far as it came")
    prompt = page.locator("#tab .msg.s details")
    prompt.locator("summary").click()
    page.locator(".earlier button").click()
    turns = page.locator("#tab .msg.u")
    expect(turns).to_have_count(60)
    turns.nth(40).evaluate("element => { element.scrollIntoView(); element.kept = true; }")
    top = turns.nth(40).bounding_box()["y"]
    page.clock.run_for(5_000)
    expect(page.locator("#detail .head")).to_contain_text("completed")
    expect(page.locator("#detail .head[data-running]")).to_have_count(0)
    expect(page.locator("#tab .msg.as")).not_to_contain_text("as far as it came")
    assert prompt.evaluate("element => element.open")
    expect(turns).to_have_count(60)
    assert turns.nth(40).evaluate("element => element.kept")
    assert abs(turns.nth(40).bounding_box()["y"] - top) < 2
