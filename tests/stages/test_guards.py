"""The stages' own guards, on values alone."""

from collections import Counter

import pytest

from rrtf_ray.cluster.failures import unwrapped
from rrtf_ray.config import Config
from rrtf_ray.errors import DataError, StageError
from rrtf_ray.records import Outcome, Problem, Source
from rrtf_ray.stages.produce import _check_sandbox_errors
from rrtf_ray.stages.replay import load_replay
from rrtf_ray.stages.stream import Tally, tally_of
from rrtf_ray.store.rows import RowStore
from tests.records_for_tests import candidate, group, problem


def test_too_many_sandbox_errors_stop_the_stage_and_few_do_not():
    bad = Tally(outcomes=Counter({"sandbox_error": 6, "passed": 94}))
    with pytest.raises(StageError, match=r"6 of 100 programs ended as sandbox_error.*max_sandbox_error_rate=0.05"):
        _check_sandbox_errors(Config(), bad)
    _check_sandbox_errors(Config(), Tally(outcomes=Counter({"sandbox_error": 5, "passed": 95})))
    early = Tally(outcomes=Counter({"sandbox_error": 2, "passed": 1}))
    _check_sandbox_errors(Config(), early)
    with pytest.raises(StageError, match="2 of 3"):
        _check_sandbox_errors(Config(), early, at_least=1)


def test_tally_counts_outcomes_and_reasons():
    tally = tally_of([group(candidate("s0", Outcome.PASSED), candidate("s1", Outcome.TIMEOUT))])
    assert (tally.rows, tally.candidates) == (1, 2)
    assert tally.outcomes == {"passed": 1, "timeout": 1}


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
        pytest.raises(StageError, match=r"sample failed: KeyError: 'what'; finished rows are kept"),
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
