"""Nothing that was recorded runs, or makes the browser ask anyone for anything."""

from playwright.sync_api import expect

EVIL = (
    "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'><svg onload='window.pwned = 1'></svg>"
    "\n\n[a link](javascript:window.pwned=1) ![a picture](https://evil.invalid/pixel.png)"
    "\n\n<a href='javascript:window.pwned=1'>raw</a> <iframe src='javascript:parent.pwned=1'></iframe>"
)


def test_a_hostile_message_does_nothing_on_any_tab(open_page, relay, word):
    messages = [
        {"role": "system", "content": EVIL},
        {"role": "user", "content": [
            {"type": "text", "text": f"{word} {EVIL}"},
            {"type": "image_url", "image_url": {"url": "https://evil.invalid/pixel.png"}},
        ]},
        {"role": "assistant", "content": EVIL},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": EVIL, "arguments": EVIL}}]},
        # The mock says again what a tool gave back, so that the answer is hostile too.
        {"role": "tool", "tool_call_id": "1", "content": EVIL},
    ]
    call = relay.chat(messages, user=EVIL)
    relay.archived(call.id)
    page = open_page("/exchanges")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    row = page.locator(f"#x-{call.id}")
    expect(row).to_be_visible()
    row.click()
    for key in "1234":
        page.keyboard.press(key)
        expect(page.locator(f".tabs a:nth-child({key})")).to_have_attribute("aria-selected", "true")
        page.wait_for_load_state("networkidle")
    for tab in ["conversation", "raw", "headers", "timeline"]:
        page.goto(f"/exchanges/{call.id}?tab={tab}")
        for folded in page.locator("details:not(dialog details)").all():
            folded.evaluate("element => { element.open = true; }")
        assert page.evaluate("window.pwned") is None
        assert page.locator("a[href^='javascript']").count() == 0
        assert page.locator("iframe, #detail script, #detail img").count() == 0
    page.goto(f"/exchanges/{call.id}")
    expect(page.locator("#tab")).to_contain_text("<script>window.pwned = 1</script>")
    link = page.locator("#tab .md a").first
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    assert page.evaluate("window.pwned") is None
    assert [url for url in asked if not url.startswith(relay.web)] == []


def test_a_recorded_body_can_not_be_loaded_as_a_script(browser, relay, word):
    call = relay.chat(word)
    relay.archived(call.id)
    context = browser.new_context(base_url=relay.web)
    page = context.new_page()
    page.goto("/exchanges")
    status = page.evaluate(
        """path => new Promise(done => {
            const script = document.createElement('script');
            script.src = path;
            script.onload = () => done('loaded');
            script.onerror = () => done('refused');
            document.head.append(script);
        })""",
        f"/api/v1/exchanges/{call.id}/legs/client_request",
    )
    context.close()
    assert status == "refused"
