"""What teachers are asked, and in which order: a statement, then solutions and inputs.

A solution is asked for in a request that knows nothing of the others, nor of the inputs: where such solutions agree, it
says something. A row in, a row out, by whatever teacher.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from rrtf_ray.config import TeacherConfig
from rrtf_ray.evolve.operations import WORDS
from rrtf_ray.evolve.reading import Statement, checked, response_to
from rrtf_ray.evolve.records import Draft, Rejected, Task
from rrtf_ray.identity import stable_seed
from rrtf_ray.records import ProblemKind
from rrtf_ray.teachers.asking import Question, Teacher
from rrtf_ray.teachers.prompts import LANGUAGES, answer_question, fenced
from rrtf_ray.teachers.reading import response_of
from rrtf_ray.teachers.work import model_of

WRITE = "Write one new programming task"
"""How the request for a statement begins."""
TRY_OUT = "Name inputs to try out"
"""How the request for inputs begins."""
_FORM = {
    ProblemKind.FUNCTION: (
        "Answer with one Python code block that has the imports, if any, the signature of one function with annotated "
        "types, and its docstring; the body is `pass` and nothing more, because others will solve it. The docstring "
        "says what each argument means and may be, what is returned, and what holds at the edges, and ends with one or "
        "two examples in the form of `>>>`. Arguments and value are numbers, texts, truth values, or lists, tuples, "
        "sets and dicts of these."
    ),
    ProblemKind.STDIO: (
        "It is solved by a program that reads standard input and writes standard output. Answer with the whole "
        "statement in one block that begins with ```text: what to compute, how input and output are laid out, the "
        "limits, and an example of each. Give no solution, because others will solve it."
    ),
}
_INPUTS = {
    ProblemKind.FUNCTION: (
        "VALUES = [...]      # 12 usual inputs, small and varied: a tuple of all arguments each\n"
        "EDGE_CASES = [...]  # 6 more that are allowed and easily got wrong, written in the same way\n"
        "PROPERTIES = [...]  # up to 3 lambdas of all arguments and then the value: true for every right solution\n"
    ),
    ProblemKind.STDIO: (
        "VALUES = [...]      # 12 usual inputs, small and varied: the whole standard input as one text each\n"
        "EDGE_CASES = [...]  # 6 more that are allowed and easily got wrong, written in the same way\n"
        "PROPERTIES = [...]  # up to 3 lambdas of the input and then the output: true for every right solution\n"
    ),
}


def statement_question(task: Task, config: TeacherConfig, seed: int) -> Question:
    """The new task itself."""
    parent = task.parent
    language = parent.language.value if parent.kind is ProblemKind.FUNCTION and parent.reference else ""
    return _question(
        f"{WRITE} by changing the one below. {WORDS[task.lineage.operation]}\n\n"
        "It stands by itself and does not speak of the other. There is one right value for every allowed input, and it "
        "depends on the input alone: not on time, chance, files or the network. The standard library is enough. "
        f"{_FORM[task.kind]}\n\nThe task to change:\n{fenced(parent.statement, language)}\n",
        config,
        stable_seed(seed, "statement", task.id),
    )


def inputs_question(task: Task, statement: Statement, config: TeacherConfig, seed: int) -> Question:
    """Inputs of three kinds; what they lead to is found by running solutions, so no values are asked for."""
    return _question(
        f"{TRY_OUT} solutions of the {LANGUAGES[statement.probe.language]} task below. Answer with one Python code "
        "block of three assignments. The first two hold literals only, and no expected values.\n\n"
        f"{_INPUTS[task.kind]}\nThe task:\n{fenced(statement.prompt, 'python' if statement.entry_point else '')}\n",
        config,
        stable_seed(seed, "inputs", task.id),
    )


@dataclass(frozen=True, slots=True)
class Writing:
    """Tasks become drafts: a teacher writes the statement, and then, if it can be used, solutions and inputs.

    name: the teacher's. solutions: how many. seed: of the run.
    """

    name: str
    config: TeacherConfig
    solutions: int
    max_similarity: float
    seed: int
    takes = Task
    gives = Draft

    async def of(self, task: Task, teacher: Teacher) -> Draft:
        model = model_of(self.name, self.config)
        task = replace(task, lineage=replace(task.lineage, model=model))
        reply = await teacher.ask(statement_question(task, self.config, self.seed))
        draft = Draft(task.id, task, response_to(reply, model))
        try:
            statement = checked(draft, self.max_similarity)
        except Rejected:
            return draft
        solved, inputs = await asyncio.gather(
            Solving(self.name, self.config, self.solutions, self.max_similarity, self.seed).of(draft, teacher),
            teacher.ask(inputs_question(task, statement, self.config, self.seed)),
        )
        return replace(solved, inputs=response_to(inputs, model))


@dataclass(frozen=True, slots=True)
class Solving:
    """Drafts get further solutions, by another teacher. The fields are those of Writing."""

    name: str
    config: TeacherConfig
    solutions: int
    max_similarity: float
    seed: int
    takes = Draft
    gives = Draft

    async def of(self, draft: Draft, teacher: Teacher) -> Draft:
        try:
            probe = checked(draft, self.max_similarity).probe
        except Rejected:
            return draft
        # Under the name of the run's seed and the teacher, so that no two ask alike.
        named = replace(probe, id=f"{self.seed}/{self.name}/{draft.id}")
        questions = [answer_question(named, self.config, 0, number) for number in range(self.solutions)]
        replies = await asyncio.gather(*map(teacher.ask, questions))
        model = model_of(self.name, self.config)
        found = tuple(response_of(probe, reply, model) for reply in replies)
        return replace(draft, solutions=draft.solutions + found)


def _question(text: str, config: TeacherConfig, seed: int) -> Question:
    draw = config.draws[0]
    return Question(text, text, draw.temperature, draw.top_p, config.max_tokens, seed)
