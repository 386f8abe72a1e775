"""How the service is run: replicas come with load and go, killed ones are replaced, checkpoints are rolled out and
rolled back. Ray Serve and the gateway are real; the engine is scripted, so a replica starts in a second."""

import contextlib
import threading
import time

import httpx
import psutil
import pytest

from rrtf_ray.errors import InputError, StageError
from rrtf_ray.serving.settings import GatewaySettings
from tests.serving.scripted import tokenizer_json

pytestmark = pytest.mark.ray

LIMIT_S = 240.0
"""For whatever is waited for; it only ends what hangs."""


def scripted_app(word, tokenizer, *, seconds=0.05, broken=False, **options):
    """A Ray Serve application that answers like EngineServer: `word`, after some seconds."""
    from ray import serve

    from tests.deployments.scripted_server import ScriptedServer

    deployment = serve.deployment(
        ScriptedServer, ray_actor_options={"num_cpus": 0}, health_check_period_s=1.0, **options
    )
    return deployment.bind(word, tokenizer, seconds, broken)


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizer_json()


@pytest.fixture(scope="module")
def url(cluster, tokenizer):
    """A gateway with one scripted model, `fast`, of one to three replicas."""
    from ray import serve

    from rrtf_ray.deployments.applications import free_port, gateway_app, wait_until_running
    from rrtf_ray.deployments.gateway import GATEWAY

    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    scaling = {
        "min_replicas": 1,
        "max_replicas": 3,
        "target_ongoing_requests": 2,
        "upscale_delay_s": 1,
        "downscale_delay_s": 3,
        "look_back_period_s": 2,
    }
    apps = {
        "engine-fast-1": scripted_app("old", tokenizer, autoscaling_config=scaling, max_ongoing_requests=5),
        GATEWAY: gateway_app(GatewaySettings(max_queued=100, answer_timeout_s=60)),
    }
    try:
        serve.run_many(
            [serve.RunTarget(app, name, "/" if name == GATEWAY else None) for name, app in apps.items()],
            wait_for_applications_running=False,
        )
        wait_until_running(list(apps), time.monotonic() + LIMIT_S)
        place = f"http://127.0.0.1:{port}"
        until(lambda: httpx.get(f"{place}/health").status_code == 200)
        yield place
    finally:
        serve.shutdown()


def until(condition):
    """Wait until the condition holds, or fail after LIMIT_S."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)


def replicas(application="engine-fast-1"):
    from ray import serve
    from ray.serve.schema import ReplicaState

    (deployment,) = serve.status().applications[application].deployments.values()
    return deployment.replica_states.get(ReplicaState.RUNNING, 0)


def kill(name):
    """SIGKILL one replica of this cluster by its process's name."""
    ours = psutil.Process().children(recursive=True)
    found = next(p for p in ours if name in " ".join(p.cmdline()))
    found.kill()


@contextlib.contextmanager
def load(url, clients):
    """Clients that ask without pause; yields the list of all (status, text) so far."""
    answers, stop = [], threading.Event()

    def ask():
        with httpx.Client(timeout=LIMIT_S) as client:
            while not stop.is_set():
                answer = client.post(f"{url}/v1/completions", json={"prompt": "a", "max_tokens": 4})
                text = answer.json()["choices"][0]["text"] if answer.status_code == 200 else answer.text
                answers.append((answer.status_code, text))

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=LIMIT_S)


def test_replicas_come_with_load_and_go_after_it(url):
    assert replicas() == 1
    with load(url, clients=10) as answers:
        until(lambda: replicas() == 3)
    until(lambda: replicas() == 1)
    assert {status for status, _ in answers} == {200}


def test_a_killed_replica_costs_only_what_it_was_working_on(url):
    with load(url, clients=2) as answers:
        until(lambda: len(answers) > 5)
        kill("ServeReplica:engine-fast-1")
        before = len(answers)
        until(lambda: len(answers) > before + 10)
    # Even those in flight were asked again, since none of them had begun to answer.
    assert {status for status, _ in answers} == {200}


def test_a_rollout_fails_no_request_and_a_broken_checkpoint_is_taken_back(url, tokenizer, monkeypatch, capfd):
    from ray import serve

    from rrtf_ray.deployments import rollout as module

    builds = {"broken": scripted_app("no", tokenizer, broken=True), "new": scripted_app("new", tokenizer)}
    monkeypatch.setattr(module, "engine_app", lambda settings: builds[settings.model])
    with load(url, clients=3) as answers:
        with pytest.raises(StageError, match=r"broken was rolled back, number 1 answers as before.*log-prob"):
            module.rollout("broken", "fast")
        assert set(answers) == {(200, "old")}
        module.rollout("new", "fast")
        asked = len(answers)
        until(lambda: len(answers) > asked + 10)
    assert {status for status, _ in answers} == {200}
    assert {text for _, text in answers[-5:]} == {"new"}
    assert set(serve.status().applications) == {"gateway", "engine-fast-2"}
    assert "number 2 answers for 'fast'" in capfd.readouterr().out


def test_a_rollout_of_an_unknown_model_names_those_there_are(url):
    from rrtf_ray.deployments.rollout import rollout

    with pytest.raises(InputError, match="no model 'slow' is served here; available: fast"):
        rollout("new", "slow")


def test_a_model_that_is_deleted_for_good_is_forgotten(url, tokenizer):
    from ray import serve

    def models():
        return {card["id"] for card in httpx.get(f"{url}/v1/models").json()["data"]}

    serve.run(scripted_app("other", tokenizer), name="engine-other-1", route_prefix=None)
    until(lambda: models() == {"fast", "other"})
    serve.delete("engine-other-1")
    until(lambda: models() == {"fast"})
    assert httpx.get(f"{url}/health").json()["models"] == {"fast": "ok"}


def test_what_a_gateway_knew_survives_its_death(url):
    with httpx.Client(base_url=url, timeout=60) as client:
        kill("ServeReplica:gateway")
        until(lambda: _status(client) == 200)


def _status(client):
    try:
        return client.post("/v1/completions", json={"model": "fast", "prompt": "a", "max_tokens": 4}).status_code
    except httpx.TransportError:
        return 0
