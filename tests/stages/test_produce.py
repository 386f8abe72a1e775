"""Sample, execute and rank on a real cluster with a scripted student: rows, restarts and what is refused."""

import os
import signal
import time
from dataclasses import replace

import pytest

from rrtf_ray.problems import write_problems
from rrtf_ray.records import Outcome, Problem, ProblemKind, Reason, Split, Test, TestKind
from rrtf_ray.store.files import read_bytes, read_json
from rrtf_ray.store.run_dir import RunDir
from tests.conftest import LIMIT_S, ROOT

pytestmark = pytest.mark.ray

CHECK = Test(TestKind.CHECK, "def check(candidate):\n    assert candidate(2) == 2\n")
SCRIPTED = ["sample.engine=scripted", "until=rank", "sample.draws=[{n: 2}, {n: 2, temperature: 1.2}]", "seed=3"]
PROBLEMS = 96  # more than a part of the store holds, so that a run can be killed between two
# Few blocks: Ray starts a process for each that waits, which costs more than the work in it.
MANY = [*SCRIPTED, f"problems.num_train={PROBLEMS}", "sample.rows_per_task=32"]


def rows(store):
    """What must be equal after a restart: everything but the time that a program took."""
    plain = {}
    for record in store.read():
        candidates = getattr(record, "candidates", ())
        verdicts = [(c.id, c.verdict.outcome, c.verdict.tests) if hasattr(c, "verdict") else c for c in candidates]
        plain[getattr(record, "problem_id", "") or record.problem.id] = verdicts
    return plain


@pytest.fixture(scope="module")
def undisturbed(rrtf, cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = rrtf("run", f"run_dir={folder}", *MANY, address=cluster.address)
    assert done.returncode == 0, done.stdout + done.stderr
    return RunDir(str(folder)), done


def test_a_run_explains_itself(undisturbed):
    run, done = undisturbed
    assert f"{PROBLEMS} in, {PROBLEMS} out" in done.stdout
    assert done.stderr == ""
    groups = list(run.groups(1).read())
    assert len(groups) == PROBLEMS
    assert {c.id for c in groups[0].candidates} == {"s0", "s1", "s2", "s3", "t0"}
    summary = read_json(run.at("summary.json"))
    assert summary["num_problems"] == PROBLEMS
    assert summary["num_candidates"] == 5 * PROBLEMS
    assert summary["outcomes"]["passed"] == 3 * PROBLEMS  # two of four students echo the reference, and the teacher
    assert summary["num_rankings"] == PROBLEMS
    for name in ("config.yaml", "environment.json", "report.html", "logs/driver.log"):
        assert os.path.getsize(run.at(*name.split("/")))
    # The best is the teacher, then the student that echoes it (a repetition is dropped), then `return None`.
    ranking = next(iter(run.rankings(1).read()))
    assert [c.candidate_id for c in ranking.candidates] == ["t0", "s1", "s0"]


def test_a_second_start_changes_nothing(undisturbed, rrtf, cluster):
    run, _ = undisturbed
    before = run.groups(1).parts()
    done = rrtf("run", f"run_dir={run.uri}", *MANY, address=cluster.address)
    assert done.returncode == 0
    assert "complete already" in done.stdout
    assert run.groups(1).parts() == before


def test_other_settings_are_refused(undisturbed, rrtf, cluster):
    run, _ = undisturbed
    changed = [*MANY, "execute.cpu_s=1.5"]
    before = read_bytes(run.at("config.yaml"))
    done = rrtf("run", f"run_dir={run.uri}", *changed, address=cluster.address)
    assert done.returncode == 2
    assert "other settings (execute.cpu_s: 1.5, before 3.0)" in done.stderr
    assert read_bytes(run.at("config.yaml")) == before


@pytest.mark.parametrize("folder", ["round-01/groups", "round-01/rankings"])
def test_a_driver_that_is_killed_continues_and_ends_with_the_same_rows(undisturbed, rrtf, cluster, tmp_path, folder):
    whole, _ = undisturbed
    arguments = ["run", f"run_dir={tmp_path}", *MANY]
    driver = rrtf(*arguments, address=cluster.address, start=True)
    deadline = time.monotonic() + LIMIT_S
    target = tmp_path / folder
    while not list(target.glob("part-*.parquet")):
        assert driver.poll() is None, driver.stdout.read()
        assert time.monotonic() < deadline, f"no part appeared in {target}"
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait(timeout=LIMIT_S)
    driver.stdout.close()
    done = rrtf(*arguments, address=cluster.address)
    assert done.returncode == 0, done.stdout + done.stderr
    run = RunDir(str(tmp_path))
    assert sorted(run.groups(1).ids()) == sorted(whole.groups(1).ids())
    assert rows(run.groups(1)) == rows(whole.groups(1))
    assert rows(run.rankings(1)) == rows(whole.rankings(1))


def test_the_stages_by_themselves_give_the_same(undisturbed, rrtf, cluster, tmp_path):
    whole, _ = undisturbed
    for stage in ("sample", "execute", "rank"):
        done = rrtf(stage, f"run_dir={tmp_path}", *MANY, address=cluster.address)
        assert done.returncode == 0, done.stdout + done.stderr
    run = RunDir(str(tmp_path))
    assert rows(run.rankings(1)) == rows(whole.rankings(1))
    assert all(c.verdict is None for g in run.samples(1).read() for c in g.candidates)


def test_a_stage_without_its_input_says_which_to_run_first(rrtf, cluster, tmp_path):
    done = rrtf("rank", f"run_dir={tmp_path}", *MANY, address=cluster.address)
    assert done.returncode == 2
    assert "round-01/groups is not complete" in done.stderr


def test_more_workers_than_the_cluster_can_have_are_refused_at_once(rrtf, cluster, tmp_path):
    done = rrtf(
        "run",
        f"run_dir={tmp_path}",
        *MANY,
        "sample.min_engines=50",
        "sample.max_engines=50",
        f"cluster.resource_timeout_s={2 * LIMIT_S}",  # whoever waits for them outlasts the limit of a command
        address=cluster.address,
    )
    assert done.returncode == 2
    assert "sample.min_engines with execute.min_workers needs 51.1 CPUs, but the cluster has 4" in done.stderr


def test_a_run_directory_of_an_older_version_is_refused(rrtf, tmp_path):
    (tmp_path / "problems" / "train").mkdir(parents=True)
    (tmp_path / "problems" / "train" / "manifest.json").write_text('{"rows": 3, "fingerprint": "f"}')
    done = rrtf("run", f"run_dir={tmp_path}", *SCRIPTED)
    assert done.returncode == 2
    assert f"run_dir='{tmp_path}' was written by version 0.1" in done.stderr


def test_an_address_without_a_cluster(rrtf, tmp_path):
    done = rrtf("run", f"run_dir={tmp_path}", *MANY, "cluster.address=127.0.0.1:1")
    assert done.returncode == 2
    assert "127.0.0.1:1" in done.stderr


def test_the_jobs_api_runs_the_same(undisturbed, cluster, tmp_path):
    from ray.job_submission import JobStatus, JobSubmissionClient

    whole, _ = undisturbed
    client = JobSubmissionClient(cluster.dashboard)
    overrides = " ".join(f"'{o}'" for o in MANY)
    job = _submitted(
        client,
        entrypoint=f"python -m jobs.pipeline run_dir={tmp_path} {overrides}",
        runtime_env={"working_dir": str(_package(tmp_path)), "env_vars": {"RAY_AUTH_MODE": "disabled"}},
    )
    deadline = time.monotonic() + LIMIT_S
    while (status := client.get_job_status(job)) not in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED):
        assert time.monotonic() < deadline, client.get_job_logs(job)
        time.sleep(0.5)
    assert status is JobStatus.SUCCEEDED, client.get_job_logs(job)
    assert f"{PROBLEMS} in, {PROBLEMS} out" in client.get_job_logs(job)
    assert rows(RunDir(str(tmp_path)).rankings(1)) == rows(whole.rankings(1))


def _submitted(client, **job):
    """The job's id. Ray's agent, which starts jobs, comes up after the dashboard that hands them to it."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            return client.submit_job(**job)
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def _package(tmp_path):
    """A working directory of the packages alone, as a checkout without environment and runs."""
    import shutil

    target = tmp_path / "working_dir"
    for name in ("rrtf_ray", "jobs"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def test_faults_of_the_machinery_are_run_again_and_kept_out_of_the_ranking(rrtf, cluster, tmp_path):
    """Tests that cannot be read are the lasting kind: run again by other actors, counted, never ranked."""
    good = [
        Problem(f"good/{i}", f"def f{i}(x):\n", ProblemKind.FUNCTION, f"f{i}", (CHECK,), f"    return x + {i} - {i}\n")
        for i in range(6)
    ]
    bad = replace(good[0], id="bad", prompt="def f9(x):\n", tests=(replace(CHECK, code="x = 1"),), entry_point="f9")
    write_problems([*good, bad], str(tmp_path / "problems"))
    arguments = [f"run_dir={tmp_path}/run", f"problems.source={tmp_path}/problems", *SCRIPTED]
    done = rrtf("run", *arguments, "execute.max_sandbox_error_rate=0.2", address=cluster.address)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 problems with a sandbox_error are run again" in done.stdout
    run = RunDir(f"{tmp_path}/run")
    groups = {group.problem.id: group for group in run.groups(1).read()}
    assert len(groups) == 7
    assert {c.verdict.outcome for c in groups["bad"].candidates} == {Outcome.SANDBOX_ERROR}
    assert "does not define check" in groups["bad"].candidates[0].verdict.detail
    reasons = {ranking.problem_id: ranking.reason for ranking in run.rankings(1).read()}
    assert reasons["bad"] is Reason.TOO_FEW
    assert {reasons[problem.id] for problem in good} == {None}


def test_problems_of_the_run_are_kept_apart(undisturbed):
    run, _ = undisturbed
    train = {p.prompt for p in run.problems(Split.TRAIN).read()}
    held_out = {p.prompt for p in run.problems(Split.HELD_OUT).read()}
    assert len(train) == PROBLEMS
    assert not train & held_out
