"""The page on a real Ray Serve, below a prefix."""

import httpx
import pytest

from rrtf_ray.errors import InputError
from rrtf_ray.feedback.command import Place, Serving, prepare
from rrtf_ray.feedback.database import FeedbackDatabase
from rrtf_ray.feedback.queue import QueueSettings
from rrtf_ray.serving.keys import new_key
from tests.feedback.browsing import answered, ready
from tests.feedback.run_for_tests import make_run
from tests.serving.page_checks import chromium_page

pytestmark = pytest.mark.ray


def test_without_keys_it_is_not_put_on_a_service(tmp_path, monkeypatch):
    monkeypatch.delenv("RRTF_API_KEYS", raising=False)
    make_run(tmp_path / "demo")
    with pytest.raises(InputError, match="annotators need keys"):
        prepare(Place(str(tmp_path / "demo")), QueueSettings(), Serving(annotator="ann"))


def test_a_person_votes_on_the_page_below_its_prefix(cluster, tmp_path):
    from ray import serve

    from rrtf_ray.deployments.applications import free_port
    from rrtf_ray.deployments.prefer import ROUTE, deploy

    make_run(tmp_path / "demo")
    key, line = new_key("ann")
    (tmp_path / "keys.txt").write_text(line + "\n")
    asking = prepare(Place(str(tmp_path / "demo")), QueueSettings(), Serving(keys=str(tmp_path / "keys.txt")))
    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    try:
        deploy(asking)
        url = f"http://127.0.0.1:{port}{ROUTE}"
        assert httpx.get(url, follow_redirects=True, timeout=60).url.path == f"{ROUTE}/"
        with chromium_page() as page:
            page.goto(url)
            page.get_by_label("Your key").fill(key)
            page.keyboard.press("Enter")
            ready(page)
            page.keyboard.press("f")
            answered(page, 1)
    finally:
        serve.shutdown()
    database = FeedbackDatabase(asking.url)
    assert [vote.annotator for vote in database.votes()] == ["ann"]
    database.close()
