"""The command line as a user meets it: exit codes and the first thing that is printed."""

import hashlib
import json
import socket

import pytest


def write_humaneval(path, *changes):
    rows = []
    for index, change in enumerate(changes):
        row = {
            "task_id": f"T/{index}",
            "prompt": "def double(x):\n    '''Twice x.'''\n",
            "entry_point": "double",
            "canonical_solution": "    return 2 * x\n",
            "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == -2\n",
        }
        rows.append(
            change
            if isinstance(change, str)
            else json.dumps({k: v for k, v in (row | change).items() if v is not None})
        )
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def problems(rrtf, tmp_path):
    source = write_humaneval(tmp_path / "p.jsonl", {}, {"task_id": "T/b"}, {"task_id": "T/c"})
    done = rrtf(
        "problems",
        "import",
        "--format",
        "humaneval",
        "--input",
        source,
        "--output",
        tmp_path / "problems",
        "--split",
        "train",
    )
    assert done.returncode == 0, done.stderr
    assert "3 problems written" in done.stdout
    return tmp_path / "problems"


def test_help_names_every_command(rrtf):
    done = rrtf("--help")
    assert done.returncode == 0
    for command in (
        "run",
        "sample",
        "execute",
        "rank",
        "train",
        "evaluate",
        "plan",
        "problems",
        "doctor",
        "serve",
        "rollout",
        "quantize",
        "key",
    ):
        assert command in done.stdout


def test_import_and_check(rrtf, problems):
    done = rrtf("problems", "check", problems)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 references pass" in done.stdout


def test_check_lists_references_that_fail(rrtf, tmp_path):
    source = write_humaneval(tmp_path / "p.jsonl", {}, {"canonical_solution": "    return x\n"})
    rrtf("problems", "import", "--format", "humaneval", "--input", source, "--output", tmp_path / "out")
    done = rrtf("problems", "check", tmp_path / "out")
    assert done.returncode == 1
    assert "1 of 2 references pass" in done.stdout
    assert "T/1" in done.stdout
    assert "failed" in done.stdout


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (['{"task_id": "x", '], ["p.jsonl:1", "JSON"]),
        ([{}, {"test": None}], ["p.jsonl:2", "test"]),
        ([{}, {"task_id": "T/0"}], ["p.jsonl:2", "'T/0'", "p.jsonl:1"]),
        ([{"canonical_solution": "    return (\n"}], ["p.jsonl:1", "T/0"]),
        ([{"test": ""}], ["p.jsonl:1"]),
        ([], ["p.jsonl"]),
    ],
    ids=["malformed", "missing field", "duplicate id", "reference does not parse", "no tests", "empty"],
)
def test_bad_problem_files(rrtf, tmp_path, rows, says):
    source = write_humaneval(tmp_path / "p.jsonl", *rows)
    done = rrtf("problems", "import", "--format", "humaneval", "--input", source, "--output", tmp_path / "out")
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("rrtf: error: ")
    assert "Traceback" not in done.stderr
    for part in says:
        assert part in done.stderr
    assert not (tmp_path / "out" / "_manifest.json").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train.epoch=1"], "did you mean 'epochs'"),
        (["train.epochs=-1"], "train.epochs=-1"),
        (["problems.source=/nowhere"], "/nowhere"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_settings_stop_before_anything_runs(rrtf, tmp_path, arguments, says):
    done = rrtf("run", *arguments, *([] if "--config" in arguments else [f"run_dir={tmp_path}/run"]))
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_reports_and_ends(rrtf):
    done = rrtf("doctor")
    assert done.returncode == 0, done.stdout
    assert "ray" in done.stdout
    assert "sandbox:" in done.stdout
    assert "/dev/shm" in done.stdout


def test_what_cannot_be_served_is_told_before_ray_starts(rrtf, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (model / name).write_text("{}")
    keys = tmp_path / "keys.txt"
    keys.write_text("alice a-plain-key\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        for arguments, says in (
            (["--model", tmp_path / "nowhere"], "does not exist"),
            (["--model", model, "--port", busy], f"--port {busy} cannot be listened on: [Errno 98]"),
            (["--model", model, "--port", "99999"], "--port 99999 cannot be listened on"),
            (["--model", model, "--keys", keys], "keys.txt:1: the second field is not sha256"),
            (["--model", model, "gateway.max_queue=1"], "did you mean 'max_queued'?"),
            (["--model", model, "engine.name=a/b"], "engine.name='a/b'"),
        ):
            done = rrtf("serve", *arguments)
            assert done.returncode == 2, done.stderr
            assert says in done.stderr
            assert "serve: starting" not in done.stdout


def test_a_key_is_told_once_and_only_its_hash_is_kept(rrtf):
    done = rrtf("key", "alice", "--rate", "60")
    key, line = done.stderr.strip(), done.stdout.strip()
    assert line == f"alice sha256:{hashlib.sha256(key.encode()).hexdigest()} rate=60"
    assert rrtf("key", "no name").returncode == 2
