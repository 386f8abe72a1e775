"""Votes out of a database and into another one, as JSONL or Parquet, and from the forms that other tools write."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from rrtf_ray.core.agreement import Label, label_of, ratings_of, unit_of
from rrtf_ray.core.blocks import blocks_of, fences_of
from rrtf_ray.errors import InputError
from rrtf_ray.feedback.database import FeedbackDatabase
from rrtf_ray.feedback.import_forms import EXTRA, Comparison, form_of
from rrtf_ray.identity import fingerprint, program_digest
from rrtf_ray.problems.source import Row, read_rows
from rrtf_ray.progress import say
from rrtf_ray.records import Arm, Vote
from rrtf_ray.schemas import schema_of, to_row
from rrtf_ray.store.files import write_bytes

FORMS = ("votes", "trl")
NO_NAME = "import"
"""The annotator of a row that names none."""
_IMPORTED = "imported/"


def export_votes(database: FeedbackDatabase, path: str, form: str = "votes") -> int:
    """Write the votes that count; returns the number of rows. The file appears whole or not at all.

    path: ends in .jsonl or .parquet, which decides what is written.
    form: `votes` (each vote with its prompt and programs, so that `import_votes` can read it into another database), or
        `trl` (prompt, chosen and rejected as TRL's trainers read them: one row for each pair of programs of which more
        annotators prefer one than the other; what follows the prompt, where a program begins with it).

    Raises InputError for an unknown form, another ending or a place that cannot be written.
    """
    if form not in FORMS:
        raise InputError(f"form={form!r} is none of {', '.join(FORMS)}; choose one of them")
    if not path.endswith((".jsonl", ".parquet")):
        raise InputError(f"{path!r} is neither JSONL nor Parquet; give a name that ends in .jsonl or .parquet")
    rows = list(_vote_rows(database) if form == "votes" else _trl_rows(database))
    columns = [*Vote.__dataclass_fields__, *EXTRA] if form == "votes" else ["prompt", "chosen", "rejected"]
    write_bytes(path, _parquet(rows, columns) if path.endswith(".parquet") else _jsonl(rows))
    return len(rows)


def import_votes(path: str, database: FeedbackDatabase) -> int:
    """Add the votes of a file, all or none of them; returns how many were new. The first row tells the form.

    Read are JSONL, JSON and Parquet, compressed or not, in the forms of `rrtf_ray.feedback.import_forms`. A row belongs
    to the problem that it names, else to the one known problem with its prompt, else to a new one named after its
    prompt. Where that problem has the answer as a program, after the prompt or in the answer's first block of code, the
    vote is on that program; else on the answer as it is.

    Raises:
        DataError: a row cannot be used; the text names file and line. Nothing was stored.
    """
    places = _Places(database)
    problems: dict[str, str] = {}
    programs: dict[tuple[str, str], str] = {}
    votes: list[Vote] = []
    read = None
    left_out = 0
    for row in read_rows(path):
        read = read or form_of(row)
        found = read(row)
        voted = places.vote(row, found) if found else None
        if not voted or not found:
            left_out += 1
            continue
        vote, left, right = voted
        problems.setdefault(vote.problem_id, found.prompt)
        programs[vote.problem_id, vote.left] = left
        programs[vote.problem_id, vote.right] = right
        votes.append(vote)
    if left_out:
        say(f"{path}: {left_out} rows left out: both answers are the same, or answer different prompts")
    return database.load(problems, [(id_, code) for (id_, _), code in programs.items()], votes)


class _Places:
    """Finds the problem and the programs that a row is on, among those that a database knows."""

    def __init__(self, database: FeedbackDatabase) -> None:
        self._programs = database.programs()
        self._by_prompt: dict[str, list[str]] = defaultdict(list)
        for problem_id, prompt in database.problems():
            if not problem_id.startswith(_IMPORTED):
                self._by_prompt[prompt.strip()].append(problem_id)

    def vote(self, row: Row, found: Comparison) -> tuple[Vote, str, str] | None:
        """The vote and the codes of its left and right programs; None where these are the same."""
        left, right = found.left, found.right
        vote = found.vote
        if not vote:
            problem_id = found.problem_id or self._problem(row, found.prompt)
            left, right = (self._program(problem_id, found.prompt, text) for text in (left, right))
            digests = program_digest(left), program_digest(right)
            if digests[0] == digests[1]:
                return None
            id_ = fingerprint("import", problem_id, *digests, found.choice.value, found.annotator, found.at)
            vote = Vote(
                id_, problem_id, *digests, found.choice, found.annotator or NO_NAME, at=found.at, arm=Arm.IMPORT
            )
        for text in (found.prompt, left, right, vote.id, vote.problem_id, vote.annotator, vote.reason, vote.rubric):
            _check_text(row, text)
        return vote, left, right

    def _problem(self, row: Row, prompt: str) -> str:
        if not prompt.strip():
            raise row.error("has an empty prompt and no problem_id, so its problem is unknown; give one of them")
        same = self._by_prompt.get(prompt.strip(), [])
        return same[0] if len(same) == 1 else _IMPORTED + fingerprint(prompt.strip())

    def _program(self, problem_id: str, prompt: str, text: str) -> str:
        """The program that the problem has of this answer; the answer itself where it has none."""
        forms = [text, prompt + text]
        if fences := fences_of(text):
            block = blocks_of(text, fences, "")[0].code
            forms += [block, prompt + block]
        known = (self._programs.get((problem_id, program_digest(code))) for code in forms)
        return next((code for code in known if code is not None), text)


def _check_text(row: Row, text: str) -> None:
    """Raises DataError for a text that UTF-8, and so a database, cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise row.error(
            f"a text has half of a surrogate pair at character {error.start}, which cannot be stored; remove it"
        ) from None


def _vote_rows(database: FeedbackDatabase) -> Iterator[dict[str, Any]]:
    prompts = dict(database.problems())
    codes = database.programs()
    for vote in database.votes():
        left, right = (codes[vote.problem_id, digest] for digest in (vote.left, vote.right))
        yield to_row(vote) | dict(zip(EXTRA, (prompts[vote.problem_id], left, right), strict=True))


def _trl_rows(database: FeedbackDatabase) -> Iterator[dict[str, Any]]:
    """A vote that settles a pair decides it, else most of its annotators do. Ties and contradictions give no row."""
    prompts = dict(database.problems())
    codes = database.programs()
    votes = database.votes()
    settled = {
        unit_of(vote): [label] for vote in votes if vote.arm is Arm.SETTLE and (label := label_of(vote)) is not None
    }
    said = {unit: list(by.values()) for unit, by in ratings_of(votes).items()} | settled
    for (problem_id, *digests), labels in said.items():
        lead = labels.count(Label.FIRST) - labels.count(Label.SECOND)
        if not lead:
            continue
        prompt = prompts[problem_id]
        first, second = (codes[problem_id, digest].removeprefix(prompt) for digest in digests)
        better, worse = (first, second) if lead > 0 else (second, first)
        yield {"prompt": prompt, "chosen": better, "rejected": worse}


def _jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _parquet(rows: list[dict[str, Any]], columns: list[str]) -> bytes:
    """Columns that no Vote has are texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = schema_of(Vote)
    schema = pa.schema([known.field(name) if name in known.names else pa.field(name, pa.string()) for name in columns])
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    return sink.getvalue()
