"""`rrtf prefer`: ask people about the programs of a round, and show what they said."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from rrtf_ray.core.pairing import MOST_PAIRS
from rrtf_ray.errors import InputError
from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url
from rrtf_ray.feedback.place import FILE
from rrtf_ray.feedback.queue import Queue, QueueSettings
from rrtf_ray.identity import fingerprint
from rrtf_ray.progress import say
from rrtf_ray.records import Split
from rrtf_ray.store.files import exists, join, read_bytes
from rrtf_ray.store.run_dir import RunDir, ids_and_prompts, label

if TYPE_CHECKING:
    from rrtf_ray.feedback.app import Access
    from rrtf_ray.feedback.asking import Asking
    from rrtf_ray.serving.keys import Keys

RUBRIC = (
    "Which program would you rather have in your code base? Look at whether it does what the problem says first, then "
    "at how easy it is to read, then at how much it costs to run. Say that both are good, or both bad, where you would "
    "not mind which you get."
)


@dataclass(frozen=True, slots=True)
class Place:
    """A round of a run, and where its votes are. database: a URL; None is the run's own (see `url`)."""

    run: str | None
    round: int | None = None
    database: str | None = None

    def url(self) -> str:
        """The database that was named, the one that the run was configured with, or the run's own."""
        if self.database:
            return self.database
        if self.run is None:
            raise InputError("name the run whose votes are meant (--run RUN), or a database (--database URL)")
        if "://" in self.run:
            raise InputError(
                f"{self.run} is no folder of this machine, so it can hold no database; give --database URL"
            )
        if configured := _configured(self.run):
            return configured
        if not Path(self.run).is_dir():
            raise InputError(f"--run {self.run}: there is no such folder; `rrtf run run_dir={self.run}` makes it")
        return sqlite_url(Path(self.run) / FILE)

    def chosen_round(self) -> int:
        """Raises InputError where the run has no such groups."""
        if self.run is None:
            raise InputError("name the run whose programs are compared: --run RUN")
        run = RunDir(self.run)
        with_groups = [number for number in run.rounds() if run.groups(number).parts()]
        if not with_groups:
            raise InputError(
                f"--run {self.run} has no executed candidates yet; `rrtf run run_dir={self.run}` or "
                f"`rrtf execute run_dir={self.run}` makes them"
            )
        if self.round is not None and self.round not in with_groups:
            raise InputError(f"--round {self.round} of {self.run} has no groups; there are {_numbers(with_groups)}")
        return self.round or with_groups[-1]

    def pair_set(self) -> str:
        """The name of the round's pairs, which stays when the run's folder is moved."""
        assert self.run is not None
        return f"{self.run.rstrip('/').rpartition('/')[2]}/{label(self.chosen_round())}"


@dataclass(frozen=True, slots=True)
class Serving:
    """How the page is served. annotator: who votes where there are no keys. rubric: a file with the instructions."""

    host: str = "127.0.0.1"
    port: int = 8010
    keys: str | None = None
    annotator: str | None = None
    leads: tuple[str, ...] = ()
    show_tests: bool = False
    rubric: str | None = None


def ask(place: Place, settings: QueueSettings, serving: Serving) -> None:
    """Serve the page until a signal ends it.

    Raises InputError for a run without groups, a database, key file or port that cannot be used.
    """
    from rrtf_ray.feedback.server import listen, serve

    asking = asked_of(place, settings, serving)
    with listen(serving.host, serving.port) as listening, opened(asking.url) as database:
        _load(place, asking, database)
        shown = f"[{serving.host}]" if ":" in serving.host else serving.host
        names = asking.access.keys.keys
        who = f"{len(names)} keys" if names else f"annotator {asking.access.only!r}"
        url = f"http://{shown}:{listening.getsockname()[1]}/"
        say(f"prefer: {url} asks {who} - Ctrl+C ends it, and the same command goes on")
        serve(asking.application(database), listening)


def prepare(place: Place, settings: QueueSettings, serving: Serving) -> Asking:
    """Everything but a server: the pairs are in the database. Raises InputError as `ask` does, and without keys."""
    asking = asked_of(place, settings, serving)
    if asking.access.keys.open:
        raise InputError("--serve answers whoever reaches the cluster, so annotators need keys: --keys FILE")
    with opened(asking.url) as database:
        _load(place, asking, database)
    return asking


def asked_of(place: Place, settings: QueueSettings, serving: Serving) -> Asking:
    """The same, without having touched the database."""
    from rrtf_ray.feedback.asking import Asking

    text = _rubric(serving.rubric)
    access, fixed = _access(serving)
    return Asking(
        url=place.url(),
        pair_set=place.pair_set(),
        settings=replace(settings, rubric=fingerprint(text)),
        access=access,
        keys_file=str(Path(serving.keys).absolute()) if serving.keys else None,
        fixed=fixed,
        show_tests=serving.show_tests,
        rubric=text,
    )


def close(place: Place) -> None:
    """Take no more votes on a round."""
    with opened(place.url()) as database:
        count = Queue(database, place.pair_set()).close()
        say(f"prefer: {place.pair_set()} is closed, {count} pairs with it; asking again opens it")


def show_status(place: Place, as_json: bool) -> None:
    """Print what was said."""
    from rrtf_ray.feedback.status import print_status, status_of

    with opened(place.url()) as database:
        found = status_of(database.votes())
    if as_json:
        print(json.dumps(found))
        return
    print_status(found)


def export(place: Place, path: str, form: str) -> None:
    """Write the votes to a file."""
    from rrtf_ray.feedback.exchange import export_votes

    with opened(place.url()) as database:
        say(f"prefer: {export_votes(database, path, form)} rows ({form}) in {path}")


def import_(place: Place, path: str) -> None:
    """Read votes from a file."""
    from rrtf_ray.feedback.exchange import import_votes

    with opened(place.url()) as database:
        _know_problems(place, database)
        say(f"prefer: {import_votes(path, database)} new votes from {path}")


def import_events(place: Place, folder: str) -> None:
    """Read what editors said of completions."""
    from rrtf_ray.feedback.editors import import_events as import_from

    with opened(place.url()) as database:
        _know_problems(place, database)
        found = import_from(folder, database)
    say(f"prefer: {found.votes} new votes from {found.events} events in {folder}")
    if found.without_code:
        say(f"prefer: {found.without_code} events have no code (gateway.events_code) and give no vote")


@contextmanager
def opened(url: str) -> Iterator[FeedbackDatabase]:
    """A database for the block."""
    database = FeedbackDatabase(url)
    try:
        yield database
    finally:
        database.close()


def _configured(run: str) -> str | None:
    """feedback.database of the run's config.yaml, if there is one."""
    place = join(run, "config.yaml")
    if not exists(place):
        return None
    try:
        found = yaml.safe_load(read_bytes(place))
        return found["feedback"]["database"] or None
    except (yaml.YAMLError, KeyError, TypeError):  # of an earlier version, or damaged: nothing was configured
        return None


def _know_problems(place: Place, database: FeedbackDatabase) -> None:
    """The run's problems, to which rows may belong by their prompts."""
    if place.run is not None:
        run = RunDir(place.run)
        stores = [store for store in map(run.problems, Split) if store.parts()]
        database.load(dict(pair for store in stores for pair in ids_and_prompts(store)), [], [])


def _load(place: Place, asking: Asking, database: FeedbackDatabase) -> None:
    from rrtf_ray.feedback.loading import load

    queue = Queue(database, asking.pair_set, asking.settings)
    store = RunDir(place.run or "").groups(place.chosen_round())
    loaded = load(queue, store.read())
    say(f"prefer: {queue.pair_set}: {loaded.asked} pairs of programs to ask about, in {loaded.problems} problems")
    why = [
        (
            loaded.ordered,
            f"pairs that tests order, that differ in form only, or beyond {MOST_PAIRS} of a problem",
        ),
        (loaded.repeated, "candidates whose program another one has"),
        (loaded.not_run, "candidates that were not run"),
    ]
    if any(count for count, _ in why):
        say(f"prefer: not asked: {', '.join(f'{count} {what}' for count, what in why if count)}")
    if not store.is_complete():
        say("prefer: the run is still at work on this round; start this command again to take in what it adds")
    if not loaded.asked:
        say("prefer: there is nothing to ask")


def _access(serving: Serving) -> tuple[Access, Keys]:
    """Who may use the page, and the keys that are in no file. Raises InputError where everyone could vote."""
    from rrtf_ray.feedback.app import Access
    from rrtf_ray.feedback.server import LOOPBACK
    from rrtf_ray.serving.keys import ENVIRONMENT, load_keys

    environment = os.environ.get(ENVIRONMENT)
    keys = load_keys(serving.keys, environment)
    names = {key.name for key in keys.keys}
    if not keys.open:
        if serving.annotator:
            raise InputError(
                f"--annotator {serving.annotator!r}: with keys, a key's name is the annotator; leave it out"
            )
        if unknown := sorted(set(serving.leads) - names):
            raise InputError(f"--lead {unknown[0]!r} has no key; there are {', '.join(sorted(names))}")
        return Access(keys, leads=frozenset(serving.leads)), load_keys(None, environment)
    if serving.host not in LOOPBACK:
        raise InputError(
            f"--host {serving.host} is open to others, so annotators need keys: `rrtf key NAME >> keys.txt`, then "
            "--keys keys.txt"
        )
    return Access(only=serving.annotator or _login()), keys


def _login() -> str:
    with suppress(Exception):  # getpass raises what it likes where the user has no name
        return getpass.getuser()
    raise InputError("the user of this machine has no name; say who votes: --annotator NAME")


def _rubric(path: str | None) -> str:
    if path is None:
        return RUBRIC
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--rubric {path!r} cannot be read: {error}") from None
    if not 0 < len(text) <= 4000:
        raise InputError(f"--rubric {path!r} has {len(text)} characters; give 1 to 4000 of plain text")
    return text


def _numbers(rounds: list[int]) -> str:
    return f"round {rounds[0]}" if len(rounds) == 1 else f"rounds {', '.join(map(str, rounds))}"
