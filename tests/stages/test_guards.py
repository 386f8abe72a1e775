"""The stages' own guards, on values alone."""

import os

import pytest

from rrtf_ray.cluster.failures import lost_a_process, unwrapped
from rrtf_ray.config import Config
from rrtf_ray.errors import DataError, StageError
from rrtf_ray.records import Problem, Source
from rrtf_ray.stages.produce import _check_sandbox_errors
from rrtf_ray.stages.replay import load_replay
from rrtf_ray.stages.tally import Count, Tally
from rrtf_ray.store.rows import RowStore
from tests.records_for_tests import problem


def test_too_many_sandbox_errors_stop_the_stage_and_few_do_not():
    limit = Config().execute.max_sandbox_error_rate
    bad = Tally(outcomes=(Count("passed", 94), Count("sandbox_error", 6)))
    with pytest.raises(StageError, match=r"6 of 100 programs ended as sandbox_error.*max_sandbox_error_rate=0.05"):
        _check_sandbox_errors(bad, limit)
    _check_sandbox_errors(Tally(outcomes=(Count("passed", 95), Count("sandbox_error", 5))), limit)
    early = Tally(outcomes=(Count("sandbox_error", 2), Count("passed", 1)))
    _check_sandbox_errors(early, limit)
    with pytest.raises(StageError, match="2 of 3"):
        _check_sandbox_errors(early, limit, at_least=1)


def test_lost_processes_are_told_from_errors_in_them(cluster):
    import ray

    @ray.remote(max_restarts=0)
    class Actor:
        def end(self):
            os._exit(1)

        def fail(self):
            raise DataError("p.jsonl:3: no tests")

    with pytest.raises(ray.exceptions.RayError) as lost:
        ray.get(Actor.remote().end.remote())
    assert lost_a_process(lost.value)
    with pytest.raises(ray.exceptions.RayError) as failed:
        ray.get(Actor.remote().fail.remote())
    assert not lost_a_process(failed.value)


def test_an_error_of_ours_comes_out_of_ray_as_itself(cluster):
    import ray

    @ray.remote
    def fails():
        raise DataError("p.jsonl:3: no tests")

    with pytest.raises(DataError, match=r"^p\.jsonl:3: no tests$"), unwrapped("sample"):
        ray.get(fails.remote())

    @ray.remote
    def breaks():
        raise KeyError("what")

    with (
        pytest.raises(StageError, match=r"sample failed: KeyError: 'what'; finished work is kept"),
        unwrapped("sample"),
    ):
        ray.get(breaks.remote())


@pytest.fixture
def store(tmp_path):
    store = RowStore(str(tmp_path / "problems"), Problem, "id")
    store.write([problem("a", prompt="def f(x):\n    '''Add.\n\n    >>> f(1)\n    2\n    '''\n"), problem("b")])
    return store


def test_replayed_rows_find_their_problem_by_id_or_by_prompt(store, tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text(
        '{"prompt": "def f(x):\\n    \'\'\'Add.\\n    \'\'\'\\n", "samples": ["  return 1", "  return 2", "x"]}\n'
        '{"task_id": "b", "completion": "    return x", "source": "human", "preference": 0.5}\n'
        '{"task_id": "zzz", "completion": "x"}\n'
    )
    found = load_replay(str(path), store, limit=2)
    assert [d.response for d in found["a"]] == ["  return 1", "  return 2"]
    assert [(d.source, d.preference) for d in found["b"]] == [(Source.HUMAN, 0.5)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"task_id": "a", "completion": 3}', "samples.jsonl:1: needs 'samples'"),
        ('{"completion": "x"}', "samples.jsonl:1: has neither 'task_id' nor 'prompt'"),
        ('{"task_id": ["a"], "completion": "x"}', "task_id=\\['a'\\] is not a text"),
        ('\n{"task_id": ', "samples.jsonl:2 column 12: malformed JSON"),
        ('{"task_id": "a", "completion": "x", "preference": 7}', "preference=7 is not a number from -1 to 1"),
        ('{"task_id": "a", "completion": "x", "source": "robot"}', "source='robot' is none of student"),
        ('{"task_id": "zzz", "completion": "x"}', "none of its 1 rows belongs"),
    ],
)
def test_replay_files_that_cannot_be_used(store, tmp_path, text, says):
    (tmp_path / "samples.jsonl").write_text(text + "\n")
    with pytest.raises(DataError, match=says):
        load_replay(str(tmp_path / "samples.jsonl"), store, limit=None)
