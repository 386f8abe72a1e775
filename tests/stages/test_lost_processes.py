"""A plan that loses a process, which Ray itself does not start again, is run again for the rows that are missing."""

import os

import pytest
import ray

from rrtf_ray.config import Config, RankConfig, SampleConfig
from rrtf_ray.core.ranking import rank
from rrtf_ray.errors import DataError, StageError
from rrtf_ray.records import Outcome, Ranking
from rrtf_ray.stages.produce import MAX_LOSSES, _run, _Work
from rrtf_ray.stages.stream import Step
from rrtf_ray.store.rows import RowStore
from tests.records_for_tests import candidate, group

pytestmark = pytest.mark.ray
# One task per part, so that what a crash leaves behind is known; and Ray gives up at the first crash.
OPTIONS = {"batch_size": None, "num_cpus": 0.5, "max_retries": 0}


@pytest.fixture
def source(cluster, tmp_path):
    if not ray.is_initialized():
        ray.init(address=cluster.address)
    store = RowStore(str(tmp_path / "source"), Ranking, "problem_id")
    candidates = candidate("s0", Outcome.PASSED), candidate("s1", Outcome.FAILED)
    for part in range(4):
        groups = [group(*candidates, id_=f"{part}/{i}") for i in range(8)]
        store.write([rank(found, RankConfig()) for found in groups], str(part))
    store.finish({"rows": 32, "fingerprint": "f"})
    return store


def run(source, tmp_path, step):
    sink = RowStore(str(tmp_path / "sink"), Ranking, "problem_id")
    config = Config(sample=SampleConfig(rows_per_task=8))
    return sink, lambda: _run(_Work("copy", source, sink, [Step(step, OPTIONS)], {}), config)


def test_the_rows_of_a_crashed_process_are_run_again(source, tmp_path, capsys):
    crashed = str(tmp_path / "crashed")

    def crash_once(table):
        if "2/3" in table.column("problem_id").to_pylist() and not os.path.exists(crashed):
            open(crashed, "w").close()
            os._exit(1)
        return table

    sink, complete = run(source, tmp_path, crash_once)
    assert complete().rows == 32
    assert sorted(sink.ids()) == sorted(source.ids())
    assert "copy: a node or process of the cluster was lost; the missing rows are run again" in capsys.readouterr().out


def test_a_process_that_always_crashes_ends_the_stage_and_loses_nothing(source, tmp_path, capsys):
    def crash(table):
        if "2/3" in table.column("problem_id").to_pylist():
            os._exit(1)
        return table

    _, complete = run(source, tmp_path, crash)
    with pytest.raises(StageError, match=r"copy failed: .*finished work is kept"):
        complete()
    assert capsys.readouterr().out.count("the missing rows are run again") == MAX_LOSSES


def test_an_error_of_ours_is_not_tried_again(source, tmp_path, capsys):
    def refuse(table):
        raise DataError("p.jsonl:3: no tests")

    _, complete = run(source, tmp_path, refuse)
    with pytest.raises(DataError) as caught:
        complete()
    assert str(caught.value) == "p.jsonl:3: no tests"
    assert "run again" not in capsys.readouterr().out
