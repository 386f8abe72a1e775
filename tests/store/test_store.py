import os
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rrtf_ray.errors import InputError, StageError
from rrtf_ray.records import Group, Outcome, Problem
from rrtf_ray.schemas import schema_of, to_table
from rrtf_ray.store.files import exists, join, local_copy, read_json, remove, upload_dir, write_bytes, write_json
from rrtf_ray.store.rows import RowStore
from rrtf_ray.store.run_dir import RunDir
from tests.records_for_tests import candidate, group, problem


@pytest.fixture
def store(tmp_path):
    return RowStore(str(tmp_path / "rows"), Problem, "id")


def test_rounds_and_evaluations_that_have_begun(tmp_path):
    run = RunDir(str(tmp_path))
    assert (run.rounds(), run.evaluations()) == ([], [])
    for name in ("round-02", "round-01", "round-100", "round-x", "logs"):
        (tmp_path / name).mkdir()
    for name in ("round-100", "int8-a", "round-99", "base"):
        (tmp_path / "evaluations" / name).mkdir(parents=True)
    assert run.rounds() == [1, 2, 100]
    assert run.evaluations() == ["base", "round-99", "round-100", "int8-a"]


def test_rows_come_back_and_are_complete_only_with_the_manifest(store):
    store.begin("f", {"a": 1})
    store.write([problem("a"), problem("b")])
    assert not store.is_complete()
    assert sorted(p.id for p in store.read()) == ["a", "b"]
    store.finish({"rows": 2})
    assert store.is_complete()
    assert store.manifest() == {"rows": 2}
    assert {p.id: p for p in store.read()}["a"] == problem("a")


def test_repetitions_are_read_once_and_can_be_dropped(store):
    store.write([problem("a"), problem("b")], "0")
    store.write([problem("b"), problem("c"), problem("c")], "1")
    store.write([problem("a")], "2")
    assert [p.id for p in store.read()] == ["a", "b", "c"]
    store.drop_repetitions()
    assert sorted(store.ids()) == ["a", "b", "c"]
    assert len(store.parts()) == 2


def test_the_folder_opens_with_what_people_have(store):
    import pandas
    import pyarrow.parquet as pq

    store.begin("f", {})
    store.write([problem("a"), problem("b")], "0")
    store.write([problem("c")], "1")
    store.finish({"rows": 3})
    with open(os.path.join(store.uri, "_part-2.parquet.1a2b3c4d.tmp"), "wb") as torn:
        torn.write(b"PAR1 and no more")  # a worker is writing
    assert pandas.read_parquet(store.uri)["id"].tolist() == ["a", "b", "c"]
    assert pq.read_table(store.uri).num_rows == 3
    store.begin("f", {})  # a restart clears away what a killed worker left
    assert not [name for name in os.listdir(store.uri) if name.endswith(".tmp")]


def test_only_the_leaves_that_are_asked_for_are_read(store):
    store.write([problem("a"), problem("b")], "0")
    store.write([problem("c")], "1")
    first, second = store.columns("id", "tests.list.element.kind")
    assert first.to_pydict() == {"id": ["a", "b"], "tests": [[{"kind": "check"}]] * 2}
    assert second.to_pydict() == {"id": ["c"], "tests": [[{"kind": "check"}]]}


def test_other_settings_are_refused_by_name(store):
    store.begin("one", {"temperature": 0.5, "seed": 1})
    store.begin("one", {"temperature": 0.5, "seed": 1})
    with pytest.raises(InputError, match=r"other settings \(temperature: 0.7, before 0.5\)"):
        store.begin("two", {"temperature": 0.7, "seed": 1})


def test_a_failed_write_leaves_nothing_behind(store, tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(OSError, match="folder"):
        write_bytes(str(target), b"x")  # cannot be renamed over a folder
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small filesystem needs root")
def test_a_full_disk_is_told_and_keeps_finished_rows(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        small = RowStore(str(disk / "rows"), Problem, "id")
        small.write([problem("a")], "0")
        with pytest.raises(StageError, match=r"no space left.*finished rows are kept"):
            small.write([problem("b", prompt=os.urandom(200_000).hex())], "1")
        assert [p.id for p in small.read()] == ["a"]
        assert sorted(os.listdir(disk / "rows")) == ["part-0.parquet"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_join_keeps_a_query_at_the_end():
    assert join("s3://b/run?endpoint_override=x", "a", "b") == "s3://b/run/a/b?endpoint_override=x"
    assert join("runs/x", "a") == "runs/x/a"
    assert join("memory:///run/", "a") == "memory:///run/a"
    assert join("s3://b", "a#1") == "s3://b/a#1"


def test_fsspec_filesystems_work_too():
    store = RowStore("memory://run/rows", Problem, "id")
    store.write([problem("a")])
    store.finish({"rows": 1})
    assert [p.id for p in store.read()] == ["a"]
    assert store.is_complete()
    remove("memory://run")
    assert not exists("memory://run/rows/_manifest.json")


def test_unknown_scheme():
    with pytest.raises(InputError, match="nosuch://x"):
        exists("nosuch://x/y")


def test_upload_dir_and_local_copy(tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.bin").write_bytes(b"1" * 1000)
    upload_dir(folder, "memory://models/m", {"step": 1})
    copied = local_copy("memory://models/m")
    try:
        assert (os.path.getsize(os.path.join(copied, "sub", "a.bin"))) == 1000
        assert read_json(os.path.join(copied, "_manifest.json")) == {"step": 1}
    finally:
        remove(copied)
    assert local_copy(str(folder)) == str(folder)


def test_a_missing_file_is_named(tmp_path):
    write_json(str(tmp_path / "a.json"), {"ü": 1})
    assert read_json(str(tmp_path / "a.json")) == {"ü": 1}
    with pytest.raises(InputError, match=r"b\.json does not exist"):
        read_json(str(tmp_path / "b.json"))


def test_groups_of_a_version_without_teachers_answers_are_read(tmp_path):
    """Their files have no column `answers` in the problem, and no `repairs` in the candidates."""

    def older(kind):
        if pa.types.is_struct(kind):
            kept = [kind.field(i) for i in range(kind.num_fields) if kind.field(i).name not in ("answers", "repairs")]
            return pa.struct([pa.field(f.name, older(f.type)) for f in kept])
        return pa.list_(older(kind.value_type)) if pa.types.is_list(kind) else kind

    records = [group(candidate("s0", Outcome.PASSED), candidate("t0", Outcome.PASSED))]
    schema = pa.schema([pa.field(field.name, older(field.type)) for field in schema_of(Group)])
    assert schema != schema_of(Group)
    rows = to_table(records, Group).to_pylist()
    del rows[0]["problem"]["answers"]
    for row in rows[0]["candidates"]:
        del row["repairs"]
    (tmp_path / "groups").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "groups" / "part-0.parquet")
    assert list(RowStore(str(tmp_path / "groups"), Group, "problem.id").read()) == records
