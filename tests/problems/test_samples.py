"""Samples in the forms in which harnesses write them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from rrtf_ray.errors import DataError, InputError
from rrtf_ray.problems.samples import ProblemIndex, SampleRow, read_samples
from rrtf_ray.verify import verify
from tests.problems import rows
from tests.records_for_tests import problem

PROMPT = rows.humaneval()["prompt"]
BODY = "    return 3 * x\n"
WHOLE = PROMPT + BODY
CHAT = [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": f"```python\n{WHOLE}```"}]


def samples_in(path: Path, *values: Any) -> list[SampleRow]:
    return list(read_samples(rows.write_jsonl(path / "s.jsonl", list(values))))


@pytest.mark.parametrize(
    ("row", "texts", "whole"),
    [
        ({"task_id": "own/0", "completion": [BODY, None, "x"]}, (BODY, "", "x"), False),
        ({"task_id": "own/0", "completion": None}, ("",), False),
        ({"task_id": "own/0", "completion": CHAT}, (CHAT[1]["content"],), False),
        ({"task_id": "own/0", "solution": [WHOLE]}, (WHOLE,), True),
        ({"question_id": "own/0", "code_list": [WHOLE, WHOLE], "output_list": ["..."]}, (WHOLE, WHOLE), True),
        ({"task_id": "own/0", "generation": BODY, "id": 4}, (BODY,), False),
        ({"task_id": "own/0", "output": BODY}, (BODY,), False),
        ({"task_id": "own/0", "response": BODY}, (BODY,), False),
        ({"task_id": "own/0", "outputs": [{"text": BODY}]}, (BODY,), False),
        ({"name": "own/0", "language": "py", "prompt": [], "completions": [BODY]}, (BODY,), False),
        ({"task_id": "own/0", "messages": CHAT}, (CHAT[1]["content"],), False),
        (
            {"task_id": "own/0", "messages": [{"role": "assistant", "content": [{"type": "text", "text": BODY}]}]},
            (BODY,),
            False,
        ),
        (
            {
                "id": "batch_req_1",
                "custom_id": "own/0",
                "response": {"status_code": 200, "body": {"choices": [{"message": {"content": BODY}}] * 2}},
                "error": None,
            },
            (BODY, BODY),
            False,
        ),
        (
            {
                "custom_id": "own/0",
                "response": {
                    "body": {
                        "output": [
                            {"type": "reasoning", "summary": []},
                            {"type": "message", "content": [{"type": "output_text", "text": BODY}]},
                        ]
                    }
                },
            },
            (BODY,),
            False,
        ),
        (
            {"custom_id": "own/0", "result": {"message": {"content": [{"type": "text", "text": BODY}]}}},
            (BODY,),
            False,
        ),
        ({"prediction": BODY, "gold": "own/0", "origin_prompt": CHAT}, (BODY,), False),
        ({"custom_id": "own/0", "response": None, "error": {"code": "batch_expired"}}, ("",), False),
        ({"custom_id": "own/0", "response": {"body": {"error": {"message": "overloaded"}}}}, ("",), False),
        (
            {"doc_id": 9, "doc": {"task_id": "own/0"}, "resps": [[BODY, "x"]], "filtered_resps": [WHOLE]},
            (BODY, "x"),
            False,
        ),
        ({"doc_id": 9, "doc": {"prompt": PROMPT}, "filtered_resps": [[BODY]]}, (BODY,), False),
        ({"doc_id": 0, "doc": {"text": "Three times."}, "resps": [[BODY]]}, (BODY,), False),
    ],
)
def test_forms_of_rows(row: Any, texts: tuple[str, ...], whole: bool, tmp_path: Path) -> None:
    [sample] = samples_in(tmp_path, row)
    assert (sample.texts, sample.whole) == (texts, whole)
    assert ProblemIndex([problem("own/0", prompt=PROMPT), problem("other/1")]).find(sample) == "own/0"


def test_the_row_id_of_a_file_with_prompts_is_not_the_problems(tmp_path: Path) -> None:
    [sample] = samples_in(tmp_path, {"id": 1, "prompt": PROMPT, "completion": BODY})
    assert ProblemIndex([problem("own/0", prompt=PROMPT), problem("other/1")]).find(sample) == "own/0"


def test_lists_in_the_order_of_the_problems(tmp_path: Path) -> None:
    (tmp_path / "generations.json").write_text(json.dumps([[WHOLE, WHOLE], [None], []], indent=1))
    found = list(read_samples(str(tmp_path / "generations.json")))
    assert [(sample.number, sample.texts, sample.whole) for sample in found] == [
        (0, (WHOLE, WHOLE), True),
        (1, ("",), True),
        (2, (), True),
    ]
    index = ProblemIndex([problem("own/0"), problem("own/1")])
    assert [index.find(sample) for sample in found] == ["own/0", "own/1", None]
    assert "there is no problem number 2 (from 0) among the 2; give the task_id" in index.why_not(found[2])


def test_an_object_of_numbered_predictions(tmp_path: Path) -> None:
    predictions = {str(i): {"origin_prompt": CHAT[:1], "prediction": f"{i}"} for i in range(11)}
    (tmp_path / "p.json").write_text(json.dumps(predictions, indent=4))
    found = list(read_samples(str(tmp_path / "p.json")))
    assert [(sample.number, sample.texts) for sample in found] == [(i, (str(i),)) for i in range(11)]
    assert ProblemIndex([problem(f"own/{i}") for i in range(11)]).find(found[10]) == "own/10"


def test_an_object_of_rows_by_task_id(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"own/0": {"completion": BODY}, "own/1": {"completion": None}}))
    assert [sample.task_id for sample in read_samples(str(tmp_path / "p.json"))] == ["own/0", "own/1"]


def test_results_of_evalplus(tmp_path: Path) -> None:
    results = {"date": "x", "eval": {"own/0": [{"task_id": "own/0", "solution": WHOLE}, {"solution": WHOLE}]}}
    (tmp_path / "r.json").write_text(json.dumps(results))
    found = list(read_samples(str(tmp_path / "r.json")))
    assert [(sample.task_id, sample.texts, sample.whole) for sample in found] == [("own/0", (WHOLE,), True)] * 2


def test_a_folder_of_evalplus_is_verified(tmp_path: Path) -> None:
    for number, text in ((10, "x"), (0, WHOLE), (2, "")):
        (tmp_path / "out" / "own_0").mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / "own_0" / f"{number}.py").write_text(text)
    problems = rows.write_jsonl(tmp_path / "p.jsonl", [rows.humaneval()])
    verify(problems, str(tmp_path / "out"), workers=1)
    found = [json.loads(line) for line in (tmp_path / "out.results.jsonl").read_text().splitlines()]
    assert [(row["index"], row["outcome"]) for row in found] == [(0, "passed"), (1, "no_code"), (2, "runtime_error")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: is a folder without files like HumanEval_0/0\.py"):
        list(read_samples(str(tmp_path / "empty")))
    (tmp_path / "out" / "own_0" / "1.py").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"own_0/1\.py: cannot be read .*correct it"):
        list(read_samples(str(tmp_path / "out")))


def test_packed_samples_are_streamed(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "s.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps({"task_id": i, "completion": "x" * 100}) + "\n" for i in range(1000))
        stream.write("no JSON\n")
    found = read_samples(str(tmp_path / "s.jsonl.gz"))
    assert next(found).task_id == 0  # before the end is read
    with pytest.raises(DataError, match=r"s\.jsonl\.gz:1001 column 1: malformed JSON"):
        list(found)
    with pytest.raises(InputError, match=r"none\.jsonl does not exist; check the path"):
        list(read_samples(str(tmp_path / "none.jsonl")))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"task_id": "a", "text": "x"},
            r"s\.jsonl:1: needs 'samples' .*'prediction'.*the row has task_id, text: rename",
        ),
        ({"task_id": "a", "completion": {"x": 1}}, r"the row has task_id, completion; 'completion' is \"\{'x': 1\}\""),
        ({"task_id": "a", "messages": CHAT[:1]}, "needs 'samples'"),
        ({"task_id": "a", "samples": "x"}, "needs 'samples'"),
        ({"task_id": "a", "completion": [[[[["x"]]]]]}, "needs 'samples'"),
        ({"completion": "x", "seed": 1}, "has neither 'task_id' nor 'prompt', .*it has completion, seed: add one"),
        ({"question_id": 1.5, "code_list": []}, "question_id=1.5 is not a text or a whole number"),
        ({"prompt": 3, "completion": ""}, "prompt=3 is not a text"),
        (["x", 3], r"s\.jsonl:item 1: 'x' \(str\) is not a JSON object"),
    ],
)
def test_rows_that_cannot_be_read_are_named(row: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=says):
        samples_in(tmp_path, row)
