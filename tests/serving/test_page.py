"""The page against the real gateway with a scripted engine, so it can be watched while it streams."""

import asyncio
import threading

import pytest
import uvicorn

from rrtf_ray.serving.keys import load_keys
from tests.serving.page_checks import ABOVE, check_page, chromium_page, fill_key, put_cursor
from tests.serving.scripted import ScriptedEngine, scripted_gateway

KEY = "a-key-of-some-length"
MIDDLE = ["    result ", "= 2 ", "* x"]


@pytest.fixture
def engine():
    return ScriptedEngine(lambda body: MIDDLE)


@pytest.fixture
def service(engine):
    """(URL, the loop that the gateway runs in)."""
    _, app = scripted_gateway(engine, keys=load_keys(None, f"me={KEY}"), slots=1)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def run():
        task = asyncio.ensure_future(server.serve())
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        started.set()
        await task

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert started.wait(30)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/", loop
    server.should_exit = True
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_a_person_completes_code_by_keyboard(service):
    with chromium_page() as page:
        check_page(page, service[0], KEY)


def test_a_completion_appears_as_it_streams_and_escape_ends_it(service, engine):
    from playwright.sync_api import expect

    url, loop = service
    engine.gate = asyncio.Event()
    with chromium_page() as page:
        fill_key(page, url, KEY)
        code = page.get_by_label("Code", exact=True)
        before = code.input_value()
        put_cursor(page, ABOVE)
        page.keyboard.press("Control+Enter")
        loop.call_soon_threadsafe(engine.gate.set)  # one token, and no more
        expect(code).to_have_value(before.replace(ABOVE, ABOVE + "    result "))
        assert engine.closed == 0
        page.keyboard.press("Escape")
        expect(page.locator("#status")).to_have_text("Stopped.")
        assert code.input_value() == before
        expect(page.get_by_role("button", name="Complete")).to_be_enabled()
    for _ in range(1000):
        if engine.closed:
            break
        threading.Event().wait(0.01)
    assert engine.closed == 1
