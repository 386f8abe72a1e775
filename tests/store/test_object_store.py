"""A run directory on an object store: a real S3 protocol, served on this machine."""

import json

import pytest

from rrtf_ray.store.files import read_bytes, read_json
from rrtf_ray.store.run_dir import RunDir
from tests.stages.test_produce import SCRIPTED

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def bucket(cluster):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    query = f"endpoint_override={host}:{port}&scheme=http&region=us-east-1&allow_bucket_creation=true"
    yield lambda path: f"s3://rrtf-tests/{path}?{query}"
    server.stop()


def test_a_run_on_s3_is_whole_and_continues(rrtf, cluster, bucket):
    place = bucket("runs/one")
    arguments = ["run", f"run_dir={place}", "problems.num_train=64", *SCRIPTED]
    done = rrtf(*arguments, address=cluster.address)
    assert done.returncode == 0, done.stdout + done.stderr
    run = RunDir(place)
    assert len(list(run.rankings(1).read())) == 64
    assert read_json(run.at("summary.json"))["num_rankings"] == 64
    assert json.loads(read_bytes(run.at("environment.json")))["seed"] == 3
    assert read_bytes(run.at("logs", "driver.log"))
    again = rrtf(*arguments, address=cluster.address)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "complete already" in again.stdout


def test_a_bucket_that_is_not_there(rrtf, bucket):
    place = bucket("runs/two").replace("rrtf-tests", "nowhere").replace("&allow_bucket_creation=true", "")
    done = rrtf("run", f"run_dir={place}", *SCRIPTED)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
