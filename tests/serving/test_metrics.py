import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rrtf_ray.serving.limits import Reason
from rrtf_ray.serving.metrics import BUCKETS_S, Metrics


def new_metrics(ongoing=lambda: 0, queued=lambda: 0):
    return Metrics({"/v1/completions", "/v1/models"}, {"rrtf"}, ongoing, queued)


def samples(metrics):
    """The samples of a scrape by name and the values of the labels le, model, reason, route, status, in this order."""
    text, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_requests_by_route_model_and_status():
    metrics = new_metrics()
    metrics.answered("/v1/completions", "rrtf", 200, 0.2)
    metrics.answered("/v1/completions", "rrtf", 200, 0.3)
    metrics.answered("/v1/completions", "rrtf", 429, 0.0)
    metrics.answered("/v1/models", None, 200, 0.0)
    found = samples(metrics)
    assert found["rrtf_requests_total", "rrtf", "/v1/completions", "200"] == 2
    assert found["rrtf_requests_total", "rrtf", "/v1/completions", "429"] == 1
    assert found["rrtf_requests_total", "other", "/v1/models", "200"] == 1


def test_what_clients_make_up_adds_no_series():
    metrics = new_metrics()

    def make_up(numbers):
        for i in numbers:
            metrics.answered(f"/v1/{i}", f"model-{i}", 1000 + i, 0.1)
            metrics.answered(f"/v1/{i}", f"model-{i}", 404, 0.1)
            metrics.first_token(f"model-{i}", 0.1)
            metrics.tokens(f"model-{i}", prompt=1, generated=1)

    make_up(range(1))
    before = samples(metrics)
    make_up(range(1, 50))
    after = samples(metrics)
    assert after.keys() == before.keys()
    assert after["rrtf_requests_total", "other", "other", "404"] == 50
    assert after["rrtf_requests_total", "other", "other", "other"] == 50


def test_a_model_that_is_added_later_is_known_then():
    models = {"rrtf"}
    metrics = Metrics(set(), models, lambda: 0, lambda: 0)
    metrics.tokens("adapter", generated=1)
    models.add("adapter")
    metrics.tokens("adapter", prompt=3, generated=5)
    found = samples(metrics)
    assert found["rrtf_generated_tokens_total", "", "other"] == 1
    assert found["rrtf_generated_tokens_total", "", "adapter"] == 5
    assert found["rrtf_prompt_tokens_total", "", "adapter"] == 3


def test_seconds_fall_into_buckets():
    metrics = new_metrics()
    for seconds in (0.004, 0.2, 0.21, 61.0):
        metrics.answered("/v1/completions", "rrtf", 200, seconds)
        metrics.first_token("rrtf", seconds)
    found = samples(metrics)
    for name, labels in (
        ("rrtf_request_duration_seconds", ("rrtf", "/v1/completions")),
        ("rrtf_time_to_first_token_seconds", ("rrtf",)),
    ):
        at_most = {le: found[f"{name}_bucket", le, *labels] for le in ("0.005", "0.15", "0.2", "0.3", "60.0", "+Inf")}
        assert at_most == {"0.005": 1, "0.15": 1, "0.2": 2, "0.3": 3, "60.0": 3, "+Inf": 4}
        assert found[f"{name}_sum", *labels] == pytest.approx(61.414)
    assert (BUCKETS_S[0], BUCKETS_S[-1]) == (0.005, 60)


def test_refusals_do_not_make_a_crowded_server_look_fast():
    metrics = new_metrics()
    metrics.answered("/v1/completions", "rrtf", 200, 2.0)
    for status in (400, 429, 503):
        metrics.answered("/v1/completions", "rrtf", status, 0.0)
    assert samples(metrics)["rrtf_request_duration_seconds_count", "rrtf", "/v1/completions"] == 1


def test_gauges_are_asked_at_each_scrape():
    state = {"ongoing": 3, "queued": 1}
    metrics = new_metrics(lambda: state["ongoing"], lambda: state["queued"])
    assert samples(metrics)[("rrtf_ongoing_requests",)] == 3
    state |= {"ongoing": 0, "queued": 7}
    found = samples(metrics)
    assert (found[("rrtf_ongoing_requests",)], found[("rrtf_queued_requests",)]) == (0, 7)


def test_rejections_are_there_from_the_start_and_count_by_reason():
    metrics = new_metrics()
    assert {reason: samples(metrics)["rrtf_rejections_total", reason.value] for reason in Reason} == {
        "rate": 0,
        "concurrency": 0,
        "queue": 0,
        "timeout": 0,
    }
    metrics.rejected(Reason.QUEUE)
    metrics.rejected(Reason.QUEUE)
    metrics.disconnected()
    found = samples(metrics)
    assert found["rrtf_rejections_total", "queue"] == 2
    assert found["rrtf_rejections_total", "timeout"] == 0
    assert found[("rrtf_disconnects_total",)] == 1


def test_instances_share_nothing():
    first, second = new_metrics(), new_metrics()
    first.disconnected()
    assert samples(second)[("rrtf_disconnects_total",)] == 0


def test_every_name_is_ours():
    metrics = new_metrics()
    metrics.answered("/v1/completions", "rrtf", 200, 0.1)
    assert all(name.startswith("rrtf_") for name, *_ in samples(metrics))


def test_the_import_is_light():
    code = (
        "import sys, rrtf_ray.serving.metrics, rrtf_ray.serving.keys; "
        "print(*{'ray', 'torch', 'vllm', 'fastapi', 'pydantic', 'numpy', 'twisted', 'aiohttp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
