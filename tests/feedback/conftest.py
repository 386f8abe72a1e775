"""Databases of both kinds: an SQLite file, and a PostgreSQL server that the tests start."""

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest

from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url


def _postgresql_binaries():
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb")
    return versions[-1].parent if versions else Path(found).parent if found else None


def _as_other_user():
    """PostgreSQL refuses to run as root."""
    if os.getuid():
        return []
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


@pytest.fixture(scope="session")
def postgresql_server():
    """The URL of a server without a database's name."""
    pytest.importorskip("psycopg")
    binaries = _postgresql_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server on this machine (apt-get install postgresql)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="rrtf-pg-", dir="/tmp"))
    prefix = _as_other_user()
    if prefix:
        shutil.chown(folder, "nobody", "nogroup")
    data = folder / "data"

    def run(*command):
        done = subprocess.run([*prefix, *map(str, command)], capture_output=True, text=True, timeout=120, cwd="/tmp")
        return done.returncode, done.stdout + done.stderr

    code, said = run(binaries / "initdb", "-D", data, "-U", "rrtf", "--auth=trust", "--no-sync")
    if code:
        pytest.skip(f"initdb does not work here: {said[-300:]}")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    code, said = run(binaries / "pg_ctl", "-D", data, "-w", "-t", "60", "-l", folder / "log", "-o", options, "start")
    assert code == 0, said
    try:
        yield f"postgresql+psycopg://rrtf@127.0.0.1:{port}"
    finally:
        run(binaries / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server):
    """A new, empty database."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:12]}"
    plain = postgresql_server.replace("+psycopg", "")
    with psycopg.connect(f"{plain}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgresql_server}/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A database that does not exist yet, of either kind."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "feedback.sqlite")
    return request.getfixturevalue("postgresql_url")


@pytest.fixture
def database(url):
    made = FeedbackDatabase(url)
    yield made
    made.close()
