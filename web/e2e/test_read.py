"""Finding an exchange, opening it, and getting its bytes."""

import re

from playwright.sync_api import expect


def download(page, click) -> bytes:
    with page.expect_download() as started:
        click()
    with open(started.value.path(), "rb") as file:
        return file.read()


def test_a_call_is_found_by_a_chinese_word_of_two_characters_and_its_bytes_download(open_page, relay, word):
    call = relay.chat(f"{word} 明天杭州的龙井茶园适合散步吗", stream=True)
    relay.archived(call.id)
    relay.found("龙井", call.id)
    page = open_page("/exchanges")
    page.locator("#q").fill("龙井")
    row = page.locator(f"#x-{call.id}")
    expect(row).to_be_visible()
    expect(row.locator("mark").first).to_have_text("龙井")
    expect(page).to_have_url(re.compile(r"q=%E9%BE%99%E4%BA%95"))
    row.click()
    detail = page.locator("#detail")
    expect(detail).to_contain_text("明天杭州的龙井茶园适合散步吗")
    detail.get_by_role("tab", name="Raw").click()
    for name, sent in [("client_request", call.request), ("client_response", call.response),
                       ("upstream_request", call.request), ("upstream_response", call.response)]:
        button = detail.locator(f"#leg-{name}").get_by_role("link", name="Download", exact=True)
        assert download(page, button.click) == sent, name


def test_every_tab_opens_by_its_key_and_the_timeline_shows_chunks(open_page, relay, word):
    call = relay.chat(word, stream=True, directives="chunks=12; chunk-delay=10ms")
    relay.archived(call.id)
    page = open_page("/exchanges")
    page.locator(f"#x-{call.id}").click()
    expect(page.locator("#detail .head")).to_be_visible()
    page.keyboard.press("4")
    expect(page.locator("#tab svg.tl rect")).not_to_have_count(0)
    page.keyboard.press("3")
    expect(page.locator("#tab")).to_contain_text("authorization")
    expect(page.locator("#tab")).not_to_contain_text("sk-not-a-key")
    page.keyboard.press("2")
    expect(page.locator("#leg-client_request")).to_contain_text(word)
    page.keyboard.press("1")
    expect(page.locator("#tab .msg.u")).to_contain_text(word)


def test_the_list_is_walked_by_keyboard(open_page, relay, word):
    first = relay.chat(f"first {word}")
    second = relay.chat(f"second {word}")
    relay.found(word, second.id)
    relay.found(word, first.id)
    page = open_page(f"/exchanges?q={word}")
    expect(page.locator(".row")).to_have_count(2)
    page.keyboard.press("j")
    expect(page.locator(f"#x-{second.id}")).to_have_class(re.compile("sel"))
    page.keyboard.press("j")
    expect(page.locator(f"#x-{first.id}")).to_have_class(re.compile("sel"))
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_contain_text(f"first {word}")
    page.keyboard.press("k")
    expect(page.locator("#detail")).to_contain_text(f"second {word}")
    page.keyboard.press("Escape")
    expect(page.locator("#detail .head")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()


def test_a_wrong_query_shows_the_spot(open_page):
    page = open_page("/exchanges")
    page.locator("#q").fill("statsu:200")
    expect(page.locator("#query-error mark")).to_have_text("statsu")
    page.locator("#q").fill("status:200")
    expect(page.locator("#query-error")).to_have_count(0)


def test_a_call_that_failed_says_why(open_page, relay, word):
    call = relay.chat(word, directives="status=429")
    relay.archived(call.id)
    page = open_page("/exchanges?q=has%3Aerror")
    row = page.locator(f"#x-{call.id}")
    expect(row).to_contain_text("429")
    row.click()
    expect(page.locator("#detail .error-line.bad")).to_be_visible()
    expect(page.locator("#detail .msg.u")).to_be_visible()
    expect(page.locator("#detail .msg.err")).to_have_count(0)


def test_a_very_large_exchange_opens_at_once(open_page, relay, word):
    text = "0123456789 " * 180_000
    call = relay.chat([{"role": "user", "content": f"{at} {text}"} for at in range(10)] + [{"role": "user", "content": word}])
    relay.archived(call.id)
    assert len(call.request) > 19_000_000
    page = open_page(f"/exchanges/{call.id}")
    expect(page.locator("#tab")).to_contain_text(word)
    assert page.evaluate("document.documentElement.outerHTML.length") < 1_000_000
    rest = page.locator(".rest button").first
    before = page.locator(".words").count()
    rest.click()
    expect(page.locator(".words")).to_have_count(before + 1)


def test_the_overview_shows_figures_and_charts(open_page, relay, word):
    call = relay.chat(word)
    relay.archived(call.id)
    page = open_page("/")
    expect(page.locator(".figures dd").first).not_to_have_text("0")
    expect(page.locator(".chart canvas")).to_have_count(4)
    expect(page.locator(".models")).to_contain_text("gpt-4o-mini")
    expect(page.locator(".pulse")).to_contain_text("0 bytes lost")


def test_the_api_can_be_tried_in_the_browser(open_page, relay, word):
    call = relay.chat(word)
    relay.archived(call.id)
    page = open_page("/docs")
    operation = page.locator(".op", has=page.locator("code", has_text=re.compile(r"^/api/v1/exchanges/\{id\}$")))
    operation.locator("summary").click()
    operation.get_by_label("id").fill(call.id)
    operation.get_by_role("button").click()
    expect(operation.locator("pre")).to_contain_text('"outcome": "completed"')
    page.goto("/redoc")
    expect(page.locator("#schema-Exchange")).to_contain_text("first_token_us")
