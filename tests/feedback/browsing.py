"""The page in a real Chromium against its real server."""

import contextlib
import threading

import uvicorn

from rrtf_ray.feedback.app import Access, make_app
from rrtf_ray.feedback.server import listen
from tests.serving.page_checks import chromium_page


@contextlib.contextmanager
def served(queue, access=Access(only="ann"), **options):  # noqa: B008
    """The URL of the page, answered from a thread."""
    listening = listen("127.0.0.1", 0)
    config = uvicorn.Config(make_app(queue, access, **options), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
        assert not thread.is_alive()


@contextlib.contextmanager
def opened(url, width=1366, height=768, dark=False):
    """The page with its first pair, and what its console complains of: nothing, when the block ends."""
    with chromium_page() as page:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if dark else "light")
        said = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.goto(url)
        yield page
        assert said == []


def ready(page):
    """Wait until a choice would count."""
    page.wait_for_selector("body[data-ready=yes]")


def answered(page, count):
    """Wait until the server has this many answers."""
    from playwright.sync_api import expect

    expect(page.locator("#progress")).to_contain_text(f"{count} answered")


def codes(page):
    """The texts that are shown, with all that is folded."""
    return [box.inner_text() for box in page.locator("#panes .code").all()]
