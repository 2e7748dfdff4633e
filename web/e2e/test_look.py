"""Phone, dark and Chinese."""

import re

from conftest import PHONE
from playwright.sync_api import expect


def no_sideways_scrolling(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def test_a_phone_shows_cards_of_two_lines_and_opens_an_exchange(open_page, relay, word):
    call = relay.chat(f"on the phone {word}")
    relay.archived(call.id)
    page = open_page("/exchanges", viewport=PHONE)
    row = page.locator(f"#x-{call.id}")
    expect(row).to_be_visible()
    no_sideways_scrolling(page)
    assert row.bounding_box()["height"] < 75
    assert page.locator("#q").bounding_box()["y"] < page.locator("nav.side").bounding_box()["y"]
    row.click()
    expect(page).to_have_url(re.compile(call.id))
    expect(page.locator("#tab")).to_contain_text(word)
    no_sideways_scrolling(page)
    for tab in ["raw", "headers", "timeline"]:
        page.goto(f"/exchanges/{call.id}?tab={tab}")
        no_sideways_scrolling(page)
    for path in ["/", "/docs", "/redoc"]:
        page.goto(path)
        no_sideways_scrolling(page)


def brightness(page) -> float:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3


def test_dark_follows_the_system_and_the_switch(open_page):
    page = open_page("/", scheme="dark")
    assert brightness(page) < 60
    page.get_by_role("button", name="Light").first.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert brightness(page) > 200
    page = open_page("/", scheme="light")
    assert brightness(page) > 200
    page.get_by_role("button", name="Dark").first.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert brightness(page) < 60


def test_chinese_follows_the_browser_and_the_switch(open_page, relay, word):
    call = relay.chat(word)
    relay.archived(call.id)
    page = open_page("/exchanges", locale="zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator(f"#x-{call.id}")).to_contain_text("成功")
    later = relay.chat(word)
    expect(page.locator(f"#x-{later.id}")).to_contain_text("成功")
    page.get_by_role("button", name="EN").first.click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator(f"#x-{call.id}")).to_contain_text("completed")


def test_times_are_those_of_the_reader(open_page, relay, browser, word):
    call = relay.chat(word)
    relay.archived(call.id)
    context = browser.new_context(base_url=relay.web, timezone_id="Asia/Shanghai", locale="en-US")
    page = context.new_page()
    page.goto("/exchanges")
    page.reload()
    title = page.locator(f"#x-{call.id} .open").get_attribute("title")
    context.close()
    assert title.endswith("+08:00")
