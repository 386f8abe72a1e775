"""The page in a real headless Chromium: what a person types, and what must appear.

`check_page` works on any service that has a model with fill-in-the-middle; a scripted one lets more be seen.
"""

import contextlib
import os
import shutil

import pytest

WAIT_MS = 60_000
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def chromium_page():
    """A new page. Skips the test if this machine has no Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, env=dict(os.environ))
        page = browser.new_page()
        page.set_default_timeout(WAIT_MS)
        yield page
        browser.close()


def fill_key(page, url, key):
    """Open the page and give it a key; ends when the models are listed. Returns its console's messages from then on."""
    from playwright.sync_api import expect

    said = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(url)
    page.get_by_label("Key").fill(key)
    page.get_by_label("Key").press("Tab")
    # Not wait_for_function: it evaluates a string, which the page's content security policy forbids.
    expect(page.locator("#model option")).not_to_have_count(0)
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    return said


ABOVE = 'the count."""\n'
"""The end of what is above the cursor in the page's example."""


def put_cursor(page, after):
    """Put the cursor after a text in the code, using only the keyboard."""
    page.get_by_label("Code", exact=True).focus()
    page.evaluate(
        "text => { const c = document.getElementById('code'); const i = c.value.indexOf(text) + text.length;"
        "c.setSelectionRange(i, i); }",
        after,
    )


def check_page(page, url, key):
    """Without a key the page says so; with one, Ctrl+Enter brings a completion to the cursor, and Escape removes
    it."""
    from playwright.sync_api import expect

    said = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto(url)
    expect(page.locator("#status")).to_have_text("Put your key into the field Key.")
    assert said == []  # nothing has gone wrong yet
    page.get_by_label("Key").fill("not-the-key")
    page.get_by_label("Key").press("Tab")
    expect(page.locator("#status")).to_contain_text("key is missing or not known")
    said = fill_key(page, url, key)
    assert key not in page.url
    assert page.evaluate("Object.values(localStorage)") == []
    code = page.get_by_label("Code", exact=True)
    before = code.input_value()
    put_cursor(page, ABOVE)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#status")).to_contain_text("Ended")
    expect(page.locator("#figures")).to_contain_text("first token")
    after = code.input_value()
    place = before.index(ABOVE) + len(ABOVE)
    begun, rest = before[:place], before[place:]
    assert after.startswith(begun)
    assert after.endswith(rest)
    assert len(after) > len(before)
    page.keyboard.press("Escape")
    assert code.input_value() == before
    page.keyboard.press("Control+z")  # what the page does can be undone like what a person types
    assert code.input_value() == after
    page.keyboard.press("Control+z")
    assert len(code.input_value()) < len(after)
    assert said == []
    page.get_by_text("Use it in your editor").click()
    for editor in page.locator("#editor option").all_text_contents():
        page.get_by_label("Editor").select_option(editor)
        settings = page.locator("#settings").text_content()
        assert url.rstrip("/") in settings, editor
        assert "KEY" in settings
        assert key not in settings
