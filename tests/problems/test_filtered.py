"""A part of a problem set as a set of its own."""

import json
import os
import subprocess

import pytest

from rrtf_ray.errors import DataError, InputError, StageError
from rrtf_ray.problems import read_manifest, read_problems
from rrtf_ray.problems.filtered import lineage_of, write_filtered
from tests.records_for_tests import problem

OUT = {"id": "b", "reason": "too easy"}


def write(rows, folder, **lineage):
    return write_filtered(
        rows, str(folder), command="dedup", source="from", format_name="mbpp", lineage=lineage, remedy="keep more"
    )


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_what_is_kept_and_why_the_rest_is_not(tmp_path):
    manifest = write([problem("a"), OUT, problem("c")], tmp_path / "copy", rule="r")
    assert [p.id for p in read_problems(str(tmp_path / "copy"))] == ["a", "c"]
    assert json.loads((tmp_path / "copy" / "left_out.jsonl").read_text()) == OUT
    assert manifest["lineage"] == {"command": "dedup", "from": "from", "rule": "r", "left_out": 1}
    assert (manifest["format"], manifest["num_problems"]) == ("mbpp", 2)
    assert lineage_of(str(tmp_path / "copy")) == {"sha256": manifest["sha256"], "earlier": manifest["lineage"]}


def test_the_same_rows_give_the_same_files(tmp_path):
    rows = [*(problem(str(n)) for n in range(1500)), OUT]
    write(rows, tmp_path / "copy")
    before = files(tmp_path / "copy")
    write(rows, tmp_path / "copy")
    assert files(tmp_path / "copy") == before
    write(rows[1000:], tmp_path / "copy")
    assert len(read_manifest(str(tmp_path / "copy"))["parts"]) == 1
    assert len(files(tmp_path / "copy")) == 3


def broken(error):
    yield from (problem(str(n)) for n in range(1200))
    raise error


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        (lambda: [OUT], InputError, "no problem of from would be kept; keep more"),
        (lambda: [problem("a"), problem("a")], DataError, "two problems have the id 'a'"),
        (lambda: broken(DataError("row 7")), DataError, "row 7"),
        (lambda: broken(KeyboardInterrupt()), KeyboardInterrupt, ""),
    ],
)
def test_an_error_leaves_what_was_there(tmp_path, rows, error, said):
    for there in ([], [problem("x"), OUT]):
        if there:
            write(there, tmp_path / "copy")
        before = files(tmp_path / "copy")
        with pytest.raises(error, match=said):
            write(rows(), tmp_path / "copy")
        assert files(tmp_path / "copy") == before


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small filesystem needs root")
def test_a_full_disk_is_told_and_nothing_is_left(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    large = [problem(str(n), prompt=os.urandom(100).hex()) for n in range(6000)]
    try:
        with pytest.raises(StageError, match=r"no space left to write .*part-0000"):
            write(large, disk / "copy")
        assert files(disk / "copy") == {}
    finally:
        subprocess.run(["umount", str(disk)], check=True)
