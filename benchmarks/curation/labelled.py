"""Problems of which it is known what is a copy of what.

An original states three to five steps on a list of numbers, in about a hundred words. Of it there are copies:

    layout        the prompt in other white space, letter case and punctuation; another program and other tests
    paraphrase    one word in fifty replaced by another, or a sentence put before; another program and other tests
    renamed       function, parameter and variables renamed, words replaced one by one from a made-up dictionary
    reordered     the same, with the helper behind the function that uses it
    shuffled      the tests in another order; another program, words of the made-up dictionary

and problems that are none, though they look alike:

    constants     the same words with other numbers, in prompt, program and tests
    shape         the same beginning and end around other steps
    short         a statement in one sentence that differs from another one in a single word
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rrtf_ray.records import Problem, ProblemKind, Test, TestKind

COPIES = ("layout", "paraphrase", "renamed", "reordered", "shuffled")
OTHERS = ("constants", "shape", "short")


@dataclass(frozen=True, slots=True)
class Step:
    """expression: of the new value, or None. condition: of what stays, or None. apply: to a list and the constant."""

    words: str
    expression: str | None
    condition: str | None
    apply: Callable[[list[int], int], list[int]]


STEPS = (
    Step("increase every value on the list by {k}", "x + {k}", None, lambda v, k: [x + k for x in v]),
    Step("multiply whatever is still there with the factor {k}", "x * {k}", None, lambda v, k: [x * k for x in v]),
    Step("take what each of them leaves when divided by {k}", "x % {k}", None, lambda v, k: [x % k for x in v]),
    Step("throw away all that do not exceed {k}", None, "x > {k}", lambda v, k: [x for x in v if x > k]),
    Step("retain only those that {k} does not divide", None, "x % {k} != 0", lambda v, k: [x for x in v if x % k]),
    Step("cap anything that is greater at {k}", "min(x, {k})", None, lambda v, k: [min(x, k) for x in v]),
    Step("replace each by how far away from {k} it lies", "abs(x - {k})", None, lambda v, k: [abs(x - k) for x in v]),
    Step("halve as if {k} were two and round down", "x // {k}", None, lambda v, k: [x // k for x in v]),
    Step("lift every lower number up to the minimum {k}", "max(x, {k})", None, lambda v, k: [max(x, k) for x in v]),
    Step("forget about readings that come out as {k}", None, "x != {k}", lambda v, k: [x for x in v if x != k]),
)
_LOOPS = {
    1: ("    for {item} in {variable}:\n", "result.append({item})"),
    3: ("    for place in range(len({variable})):\n        {item} = {variable}[place]\n", "result.append({item})"),
    4: ("    for {item} in {variable}:\n", "result = result + [{item}]"),
}


def _words(text: str) -> list[str]:
    return text.split()


_WHO = _words("baker sailor gardener teacher miller jeweller tailor farmer printer painter brewer weaver")
_WHERE = _words("harbour village market library station workshop museum garden castle valley orchard mountain")
_WHAT = _words("crates tickets candles barrels carpets letters lanterns pebbles ribbons biscuits feathers bottles")
_NAMES = _words("process compute evaluate convert transform handle count_up gather tally digest")
_SYLLABLES = _words("ba ke lo mi nu ra se to vi zu pla stri gro")
_SHORT = "Return the {0} of the numbers on the list {1}, or nothing if there is none."
_FIRST = _words("largest smallest sum product median count average range")
_SECOND = _words("first second third even odd positive negative distinct")


@dataclass(frozen=True, slots=True)
class Labelled:
    """copy_of: of each copy, its original. kinds: of each problem that is no original, what it is."""

    problems: list[Problem]
    copy_of: dict[str, str]
    kinds: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Task:
    story: tuple[str, str, str]
    steps: tuple[Step, ...]
    constants: tuple[int, ...]

    def statement(self) -> str:
        who, where, what = self.story
        steps = [step.words.format(k=k) for step, k in zip(self.steps, self.constants, strict=True)]
        return (
            f"A {who} from the {where} has written down how many {what} were sold on each day of the year, one "
            f"number per day in the order of the calendar, and would like to have them looked through by a program. "
            f"First, {steps[0]}; {'; '.join('then, ' + text for text in steps[1:])}. At the end, give back the list of "
            f"numbers that you have got for the {what}, in the order in which they were, and an empty list if none is "
            "left."
        )


def make(originals: int, seed: int = 0) -> Labelled:
    """`originals` problems, one copy of each kind and one look-alike of each kind for every one, in random order but
    with every original before its copies."""
    found = Labelled([], {}, {})
    for number, (original, others) in enumerate(_families(seed, originals)):
        found.problems.append(original)
        for kind, problem in others:
            found.problems.append(problem)
            found.kinds[problem.id] = kind
            if kind in COPIES:
                found.copy_of[problem.id] = original.id
        assert number < originals
    place = {problem.id: place for place, problem in enumerate(found.problems)}
    rng = random.Random(f"order/{seed}")
    keys = {id_: rng.random() for id_ in place}
    keys |= {copy: keys[original] + (1 - keys[original]) * rng.random() for copy, original in found.copy_of.items()}
    found.problems.sort(key=lambda problem: keys[problem.id])
    return found


def stream(number: int, seed: int = 0) -> Iterator[Problem]:
    """`number` problems, copies and look-alikes among them."""
    made = 0
    for original, others in _families(seed, number):
        for problem in (original, *(problem for _, problem in others)):
            if made == number:
                return
            made += 1
            yield problem


def _families(seed: int, number: int) -> Iterator[tuple[Problem, list[tuple[str, Problem]]]]:
    shorts = [_SHORT.format(first, second) for first in _FIRST for second in _SECOND]
    for index in range(number):
        rng = random.Random(f"labelled/{seed}/{index}")
        task = _task(rng)
        name = f"{rng.choice(_NAMES)}_{index}"
        id_ = f"labelled/{index}"
        others = [(kind, _copy(kind, task, name, f"{id_}/{kind}", rng)) for kind in COPIES]
        others += [(kind, _other(kind, task, name, f"{id_}/{kind}", rng)) for kind in ("constants", "shape")]
        if index < len(shorts):
            short = _task(rng)
            others.append(("short", _problem(f"{id_}/short", name, shorts[index], short, 1, rng)))
        yield _problem(id_, name, task.statement(), task, 0, rng), others


def _task(rng: random.Random) -> _Task:
    steps = tuple(rng.sample(STEPS, rng.randint(3, 5)))
    story = (rng.choice(_WHO), rng.choice(_WHERE), rng.choice(_WHAT))
    return _Task(story, steps, tuple(rng.randint(2, 97) for _ in steps))


def _copy(kind: str, task: _Task, name: str, id_: str, rng: random.Random) -> Problem:
    text = task.statement()
    match kind:
        case "layout":
            text = "\n   ".join(text.upper().replace(";", " ,").replace(". ", "  ").split(" "))
            return _problem(id_, name, text, task, 1, rng)
        case "paraphrase":
            return _problem(id_, f"solve_{name}", _paraphrase(text, rng), task, 3, rng)
        case "renamed":
            return _problem(id_, f"other_{name}", _translated(text, kind), task, 0, rng, variable="items", item="e")
        case "reordered":
            return _problem(id_, f"new_{name}", _translated(text, kind), task, 2, rng, variable="rows", item="r")
        case _:
            original = _problem(id_, name, text, task, 0, random.Random(f"tests/{name}"))
            shuffled = _problem(id_, name, _translated(text, kind), task, 4, random.Random(f"tests/{name}"))
            tests = list(original.tests)
            rng.shuffle(tests)
            return Problem(id_, shuffled.prompt, shuffled.kind, name, tuple(tests), shuffled.reference)


def _other(kind: str, task: _Task, name: str, id_: str, rng: random.Random) -> Problem:
    if kind == "constants":
        changed = list(task.constants)
        changed[rng.randrange(len(changed))] += rng.randint(1, 9)
        task = _Task(task.story, task.steps, tuple(changed))
    else:
        other = _task(rng)
        task = _Task(task.story, other.steps, other.constants)
    return _problem(id_, name, task.statement(), task, 0, rng, tests_of=id_)


def _paraphrase(text: str, rng: random.Random) -> str:
    if rng.random() < 0.3:
        return f"Please read this with care. {text}"
    words = text.split(" ")
    free = [place for place, word in enumerate(words) if word.isalpha()]
    for place in rng.sample(free, len(words) // 50):
        words[place] = _translated(words[place], "synonym")
    return " ".join(words)


def _translated(text: str, dictionary: str) -> str:
    """Word by word, by one of several dictionaries; numbers stay."""

    def of(word: str) -> str:
        if not word.strip(",.;").isalpha():
            return word
        digest = hashlib.sha256(f"{dictionary} {word}".encode()).digest()
        return "".join(_SYLLABLES[byte % len(_SYLLABLES)] for byte in digest[: 1 + len(word) // 2])

    return " ".join(map(of, text.split(" ")))


def _problem(
    id_: str,
    name: str,
    text: str,
    task: _Task,
    style: int,
    rng: random.Random,
    variable: str = "values",
    item: str = "x",
    tests_of: str = "",
) -> Problem:
    """style: 0 has a helper before the function, 2 behind it; 1, 3 and 4 are loops. tests_of: seeds the tests."""
    steps = [
        (_in(step.expression, k, item), _in(step.condition, k, item))
        for step, k in zip(task.steps, task.constants, strict=True)
    ]
    header = f'def {name}({variable}: list[int]) -> list[int]:\n    """{text}"""\n'
    if style in _LOOPS:
        loop, collect = (text.format(variable=variable, item=item) for text in _LOOPS[style])
        lines = "".join(
            f"        {item} = {made}\n" if made else f"        if not ({kept}):\n            continue\n"
            for made, kept in steps
        )
        reference = f"{header}    result = []\n{loop}{lines}        {collect}\n    return result\n"
    else:
        helper = f"def first_of_{name}({variable}):\n    return {_comprehension(steps[0], variable, item)}\n"
        body = "".join(f"    {variable} = {_comprehension(step, variable, item)}\n" for step in steps[1:])
        main = f"{header}    {variable} = first_of_{name}({variable})\n{body}    return {variable}\n"
        reference = f"{helper}\n{main}" if style == 0 else f"{main}\n{helper}"
    tests_from = random.Random(f"tests/{tests_of or name}") if style == 0 else rng
    return Problem(id_, header, ProblemKind.FUNCTION, name, _tests(name, task, tests_from), reference)


def _in(template: str | None, k: int, item: str) -> str:
    """x stands for the item, and is in no other word but `max`."""
    return (template or "").format(k=k).replace("max", "MAX").replace("x", item).replace("MAX", "max")


def _comprehension(step: tuple[str, str], variable: str, item: str) -> str:
    made, kept = step
    return f"[{made or item} for {item} in {variable}{' if ' + kept if kept else ''}]"


def _tests(name: str, task: _Task, rng: random.Random) -> tuple[Test, ...]:
    tests = []
    for _ in range(5):
        given = [rng.randint(-99, 199) for _ in range(rng.randint(5, 9))]
        wanted = given
        for step, k in zip(task.steps, task.constants, strict=True):
            wanted = step.apply(wanted, k)
        tests.append(Test(TestKind.ASSERT, f"assert {name}({given}) == {wanted}"))
    return tuple(tests)
