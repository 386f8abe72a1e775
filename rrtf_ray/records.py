"""The records that travel between the stages. Read this page first.

One row per problem, from the first stage to the last: a problem's candidates stay nested in its row, so no
stage shuffles or joins, and a finished row is safe the moment it is written.

    Problem --sample--> Group --execute--> Group with verdicts --rank--> Ranking --train--> checkpoint

Every record is frozen and validates itself when it is made (Arrow does not). `rrtf_ray.schemas` turns a record
into an Arrow row and back; the Arrow schema is derived from the annotations here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rrtf_ray.errors import DataError


class ProblemKind(StrEnum):
    """How a program is called by its tests."""

    FUNCTION = "function"
    """The tests call `entry_point`, a function or `Solution().method` (`new Solution().method` in JavaScript)."""
    STDIO = "stdio"
    """The program reads standard input and writes standard output."""


class Language(StrEnum):
    """What the programs of a problem are written in; its tests are Python, or text, whatever the language."""

    PYTHON = "python"
    """Run by the interpreter that runs this."""
    JAVASCRIPT = "javascript"
    """Run by the machine's node."""


class Split(StrEnum):
    """What a problem is for; the two never share content."""

    TRAIN = "train"
    HELD_OUT = "held_out"


class TestKind(StrEnum):
    """The form of one test."""

    __test__ = False  # not a pytest class

    CHECK = "check"
    """`code` defines `check(candidate)`; each of its top-level statements that asserts is one result."""
    ASSERT = "assert"
    """`code` is statements that call the entry point by its name and raise on failure (one result)."""
    VALUE = "value"
    """`code` is a Python literal of the positional arguments, `expected` a literal of the value (one result)."""
    STDIO = "stdio"
    """`code` is the standard input, `expected` the standard output, compared token by token (one result)."""
    UNITTEST = "unittest"
    """`code` defines unittest.TestCase classes; each of their test methods is one result."""


class Source(StrEnum):
    """Where a candidate comes from."""

    STUDENT = "student"
    """Sampled from the model in training (or replayed from a file in its place)."""
    TEACHER = "teacher"
    """A stronger model's or the reference's response."""
    HUMAN = "human"
    """Written or chosen by a person."""


class Outcome(StrEnum):
    """What became of a candidate when it was run against the tests."""

    PASSED = "passed"
    """All tests passed."""
    FAILED = "failed"
    """It ran, and at least one test gave a wrong result."""
    RUNTIME_ERROR = "runtime_error"
    """It raised, or ended before its tests were over, and no test passed."""
    COMPILE_ERROR = "compile_error"
    """It is not valid source."""
    TIMEOUT = "timeout"
    """It used up its limit of time."""
    OUT_OF_MEMORY = "out_of_memory"
    """It used up its limit of memory."""
    NO_CODE = "no_code"
    """No program could be found in the response."""
    SANDBOX_ERROR = "sandbox_error"
    """The machinery failed, not the program: retried, never ranked, never counted as a failure."""


class TestStatus(StrEnum):
    """The result of one test."""

    __test__ = False

    PASSED = "passed"
    FAILED = "failed"
    """A wrong value (an assertion did not hold)."""
    ERROR = "error"
    """Any other exception."""
    TIMEOUT = "timeout"
    NOT_RUN = "not_run"


class Choice(StrEnum):
    """What was said of two programs, shown left and right."""

    LEFT = "left"
    RIGHT = "right"
    BOTH_GOOD = "both_good"
    """Equally good."""
    BOTH_BAD = "both_bad"
    """Neither is any good, so they are equal too."""
    SKIPPED = "skipped"
    """No opinion: kept, and never counted as a tie."""


class VoteSource(StrEnum):
    """Who votes."""

    PERSON = "person"
    """An expert, on the page of `rrtf prefer` or in an imported file."""
    JUDGE = "judge"
    """A model that compares programs."""
    EDITOR = "editor"
    """A user of the endpoint, who took one completion and not another."""


class Arm(StrEnum):
    """Why somebody was asked about a pair of programs."""

    CHOSEN = "chosen"
    """Because the answer is expected to say most."""
    RANDOM = "random"
    """By chance, as a fair sample of all pairs."""
    REPEAT = "repeat"
    """Again, with the sides swapped, to see how consistent the annotator is."""
    SETTLE = "settle"
    """Others contradict each other: this vote decides."""
    IMPORT = "import"
    """Nobody was asked here: the vote comes from a file or an editor."""


class Signal(StrEnum):
    """What puts a candidate above the next one."""

    TESTS = "tests"
    PEOPLE = "people"
    """Votes, or the preference that came with a replayed file."""
    JUDGES = "judges"
    EDITORS = "editors"
    AGREEMENT = "agreement"
    """More of the programs that pass behave like it."""
    TEACHER = "teacher"
    """It is a teacher's response."""
    NONE = "none"
    """Nothing does: they are tied."""


class Fault(StrEnum):
    """Why a teacher's response cannot be used."""

    REFUSED = "refused"
    """The model, or a filter before it, declined."""
    NO_CODE = "no_code"
    """An answer in prose."""
    OTHER_LANGUAGE = "other_language"
    """A program in another language than the problem's, or none that parses."""
    CUT_OFF = "cut_off"
    """It ended at its limit of tokens, within the program."""
    REJECTED = "rejected"
    """The endpoint did not take the request: too long a prompt, say."""
    UNANSWERED = "unanswered"
    """No answer after all retries: an endpoint that is slow, overloaded, down or sends broken data."""
    OUT_OF_BUDGET = "out_of_budget"
    """Not asked: the teacher's limit of tokens or money was reached."""


class Reason(StrEnum):
    """Why a problem yields no ranking, or no group."""

    TIED = "tied"
    """All candidates have the same score: there is nothing to prefer."""
    TOO_FEW = "too_few"
    """Fewer than two candidates are left."""
    TEACHER_BELOW_STUDENT = "teacher_below_student"
    """The best teacher response scores below a student's; the paper filters such data out."""
    NO_PASSING_TARGET = "no_passing_target"
    """No candidate that may be imitated passes all tests (found by train)."""
    TOO_LONG = "too_long"
    """Prompt and target, or prompt and any second response, are longer than train.max_length (found by train)."""
    EMPTY_PROMPT = "empty_prompt"
    """The prompt has no tokens, so nothing predicts a response's first (found by train)."""
    EMPTY_RESPONSE = "empty_response"
    """A response has no tokens: cut off before its first (found by train)."""


@dataclass(frozen=True, slots=True)
class Test:
    """One test of a problem.

    kind: decides what the other fields mean (see TestKind).
    code: source, argument literal or standard input.
    expected: literal of the value or standard output; empty for CHECK and ASSERT.
    atol: absolute tolerance for floats in VALUE tests; 0 is exact up to float rounding.
    checker: source of `check(given, got, expected) -> bool`, which decides in place of the usual comparison: of
        (arguments, value, value) for VALUE, of (input, output, output) for STDIO.
    """

    __test__ = False

    kind: TestKind
    code: str
    expected: str = ""
    atol: float = 0.0
    checker: str = ""

    def __post_init__(self) -> None:
        if self.kind in (TestKind.CHECK, TestKind.ASSERT, TestKind.UNITTEST) and not self.code.strip():
            raise DataError(f"a test of kind {self.kind.value!r} has no code; give the code or leave the test out")
        if self.checker and self.kind not in (TestKind.VALUE, TestKind.STDIO):
            raise DataError(f"a test of kind {self.kind.value!r} has a checker; only value and stdio tests can")
        if self.atol < 0:
            raise DataError(f"atol={self.atol} of a test is negative; give 0 for exact comparison")


@dataclass(frozen=True, slots=True)
class TeacherResponse:
    """What a teacher of this run answered to a problem.

    text: as it came; empty where nothing came. model: the teacher and its model (`big:some-model`).
    finish_reason: the endpoint's or vLLM's (`stop`, `length`). num_tokens: of the answer; 0 if nobody counted.
    fault: None for an answer that becomes a candidate.
    """

    text: str
    model: str
    finish_reason: str = "stop"
    num_tokens: int = 0
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One programming problem. Written by `problems import` and the quickstart, read by sample.

    id: unique in its data set.
    prompt: what the student continues; for functions it is source up to the body.
    kind: how the tests call the program.
    entry_point: the function's name, or `Class().method` (JavaScript: `new Class().method`); empty for STDIO.
    tests: at least one.
    reference: a response (what follows the prompt) that is known to be right; empty if there is none.
    teacher_responses: responses that the data set brought along, the reference not included.
    setup: source that precedes the program (imports and helpers that the tests' authors took for granted).
    split: train or held out.
    language: of prompt, reference, responses and setup; the tests are Python in every language.
    suffix: what follows a response, which is then the middle between prompt and suffix (infilling); empty otherwise.
    answers: of this run's teachers, in the order in which they were asked.
    """

    id: str
    prompt: str
    kind: ProblemKind
    entry_point: str
    tests: tuple[Test, ...]
    reference: str = ""
    teacher_responses: tuple[str, ...] = ()
    setup: str = ""
    split: Split = Split.TRAIN
    language: Language = Language.PYTHON
    suffix: str = ""
    answers: tuple[TeacherResponse, ...] = ()

    def __post_init__(self) -> None:
        if not self.id:
            raise DataError("a problem has an empty id; give every problem a unique id")
        if not self.tests:
            raise DataError(f"problem {self.id!r} has no tests; add a test or remove the problem")
        if self.kind is ProblemKind.FUNCTION and not self.entry_point:
            raise DataError(f"problem {self.id!r} is of kind 'function' but has no entry_point; name the function")
        if self.language is Language.JAVASCRIPT and any(test.kind is TestKind.UNITTEST for test in self.tests):
            raise DataError(
                f"problem {self.id!r} is in JavaScript and has tests of kind 'unittest', which need a program in "
                "Python; give tests of kind check, assert or value"
            )


@dataclass(frozen=True, slots=True)
class Sampling:
    """The parameters that one candidate was sampled with, in vLLM's names.

    seed is the request's own seed: same model, prompt and parameters give the same response.
    """

    temperature: float
    top_p: float
    max_tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the executor says of one candidate. Written by execute, read by rank and evaluate.

    outcome: see Outcome.
    tests: one status per result, in the order of the tests.
    seconds: wall time of the run, in seconds.
    detail: the first failure in one line (exception or wrong value), or the cause of a SANDBOX_ERROR.
    inside: the tests ran in the program's own interpreter because they need it, where a pass can be forged.
    unprotected: the layers of isolation that this machine could not give.
    """

    outcome: Outcome
    tests: tuple[TestStatus, ...] = ()
    seconds: float = 0.0
    detail: str = ""
    inside: bool = False
    unprotected: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        all_passed = bool(self.tests) and all(t is TestStatus.PASSED for t in self.tests)
        if (self.outcome is Outcome.PASSED) != all_passed:
            raise DataError(
                f"outcome {self.outcome.value!r} contradicts the test results {[str(t) for t in self.tests]}"
            )

    @property
    def pass_ratio(self) -> float:
        """Share of the tests that passed, in [0, 1]; 0 where no test ran."""
        return sum(t is TestStatus.PASSED for t in self.tests) / len(self.tests) if self.tests else 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One response to a problem and what became of it.

    id: unique within the group: `s0`, `s1` ... (student), `t0` ... (teacher), `h0` ... (human).
    source, model: who wrote it; `model` is the checkpoint's name, the replayed file's, or of a teacher `reference`,
        `dataset` (the problem's teacher_responses), or the teacher and its model (`big:some-model`).
    response: the text as it came.
    completion: the code in it as it follows the prompt (what training sees).
    program: the source to run; empty where no code was found.
    finish_reason: vLLM's (`stop`, `length`), or `given` for a response that was not sampled.
    num_tokens: tokens that the engine sampled; 0 for a given response.
    logprob: the sum of the sampled tokens' log-probabilities under the model, before temperature; None where unknown.
    sampling: None for a given response.
    preference: human preference, higher is better, 0 where nobody was asked.
    verdict: None until executed.
    repairs: the id of the candidate that a teacher repaired here; empty for any other.
    behaviour: digest of what a program that passes does on calls that the tests do not make (execute.probe_calls):
        those of one problem with equal ones behave alike; empty where that is not known.
    """

    id: str
    source: Source
    model: str
    response: str
    completion: str
    program: str
    finish_reason: str
    num_tokens: int = 0
    logprob: float | None = None
    sampling: Sampling | None = None
    preference: float = 0.0
    verdict: Verdict | None = None
    repairs: str = ""
    behaviour: str = ""

    @property
    def code(self) -> str:
        """What it is compared and known by: its program, or the completion where no code was found."""
        return self.program or self.completion

    @property
    def truncated(self) -> bool:
        """Whether the completion goes to the end of a response that was cut off at its limit of tokens."""
        return self.finish_reason == "length" and self.response.rstrip().endswith(self.completion.rstrip())


@dataclass(frozen=True, slots=True)
class Group:
    """A problem's candidates: written by sample (no verdicts), then by execute (with verdicts).

    problem: travels along, so a later stage needs no join.
    candidates: students first, then teachers, then humans.
    error: why there are fewer candidates than asked for; empty if there are not.
    """

    problem: Problem
    candidates: tuple[Candidate, ...]
    error: str = ""

    def __post_init__(self) -> None:
        if not self.candidates and not self.error:
            raise DataError(f"the group of problem {self.problem.id!r} has neither candidates nor a recorded error")
        ids = [c.id for c in self.candidates]
        if len(set(ids)) != len(ids):
            raise DataError(f"the group of problem {self.problem.id!r} repeats a candidate id: {ids}")


@dataclass(frozen=True, slots=True)
class Vote:
    """A comparison of two programs of one problem. Written by `rrtf prefer` and by judges, read by rank.

    id: unique; a vote that is stored twice counts once.
    left, right: digests of the programs (identity.program_digest), as they were shown.
    annotator: the name of the person's key, or of the model.
    at: when, in seconds since 1970 by the server's clock. seconds: how long it took; 0 where nobody measured it.
    reason: what the annotator wrote; may be empty. rubric: version of the instructions that the annotator had.
    saw_tests: the verdicts of the tests were shown before the choice.
    arm: why this pair was asked.
    """

    id: str
    problem_id: str
    left: str
    right: str
    choice: Choice
    annotator: str
    source: VoteSource = VoteSource.PERSON
    at: float = 0.0
    seconds: float = 0.0
    reason: str = ""
    rubric: str = ""
    saw_tests: bool = False
    arm: Arm = Arm.CHOSEN

    def __post_init__(self) -> None:
        for name in ("id", "problem_id", "left", "right", "annotator"):
            if not getattr(self, name):
                raise DataError(f"a vote on problem {self.problem_id!r} has no {name}; give it one")
        if self.left == self.right:
            raise DataError(f"vote {self.id!r} compares a program with itself ({self.left}); give two programs")

    @property
    def pair(self) -> tuple[str, str]:
        """The digests, the smaller first: the same whatever side the programs were on."""
        return (self.left, self.right) if self.left < self.right else (self.right, self.left)

    @property
    def winner(self) -> str | None:
        """The digest of the better program; None for a tie and for no opinion."""
        return {Choice.LEFT: self.left, Choice.RIGHT: self.right}.get(self.choice)


@dataclass(frozen=True, slots=True)
class Preference:
    """What votes say of one program among the others of its problem (core.preference).

    value: in [-1, 1], P(it wins against another program of the problem) - P(it loses).
    low, high: its 95% interval. votes: how many comparisons it was in.
    """

    value: float
    low: float
    high: float
    votes: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a judge said of two programs, in both orders.

    left, right: digests of the programs. left_first, right_first: the choice where that program was shown first; None
    where there was no answer with a choice in it. passing: both programs pass all tests.
    at: when, in seconds since 1970. seconds: how long both answers took.
    """

    left: str
    right: str
    left_first: Choice | None
    right_first: Choice | None
    passing: bool
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Judgements:
    """A judge's comparisons of one problem's programs. programs: the code of those that were compared."""

    problem_id: str
    prompt: str
    programs: tuple[str, ...]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class RankedCandidate:
    """One place of a ranking.

    candidate_id, source, completion: copied from the candidate.
    outcome, pass_ratio: the tests' part of the reason.
    test_score, teacher_bonus, human_bonus, judge_bonus, editor_bonus, agreement_bonus: the parts of `score`, which is
        their sum.
    truncated: the completion goes to the end of a response that was cut off at its limit of tokens.
    count: how many of the group's candidates have this code (students' and others' are counted apart).
    people, judges, editors: what their votes say, with how sure that is; None where there are none.
    """

    candidate_id: str
    source: Source
    completion: str
    outcome: Outcome
    pass_ratio: float
    test_score: float
    teacher_bonus: float
    human_bonus: float
    score: float
    truncated: bool = False
    count: int = 1
    judge_bonus: float = 0.0
    editor_bonus: float = 0.0
    people: Preference | None = None
    judges: Preference | None = None
    editors: Preference | None = None
    agreement_bonus: float = 0.0


@dataclass(frozen=True, slots=True)
class Ranking:
    """A problem's candidates, best first. Written by rank, read by train.

    reason is None for a ranking that can be trained on; otherwise it says why it cannot.
    dropped: how many candidates were left out, as duplicates or for a SANDBOX_ERROR.
    """

    problem_id: str
    prompt: str
    candidates: tuple[RankedCandidate, ...]
    reason: Reason | None = None
    dropped: int = 0

    def __post_init__(self) -> None:
        scores = [c.score for c in self.candidates]
        if scores != sorted(scores, reverse=True):
            raise DataError(f"the ranking of problem {self.problem_id!r} is not in order of score: {scores}")
        if self.reason is None and len(set(scores)) < 2:
            raise DataError(f"the ranking of problem {self.problem_id!r} has fewer than two distinct scores")

    @property
    def pass_rate(self) -> float | None:
        """Share of the student's candidates that passed all tests; None where the student has none."""
        students = [c for c in self.candidates if c.source is Source.STUDENT]
        if not students:
            return None
        return sum(c.count for c in students if c.outcome is Outcome.PASSED) / sum(c.count for c in students)
