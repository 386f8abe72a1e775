"""A good teacher's answers to one task, to be made worse by a test."""

from rrtf_ray.evolve.records import Draft, Lineage, Operation, Seed, Task
from rrtf_ray.records import ProblemKind, TeacherResponse

RULES = {"agree": 3, "min_inputs": 5, "max_inputs": 30, "min_mutation_score": 0.9, "max_similarity": 0.75}
PARENT = "Write a function that counts how often each word is in a text and returns the most frequent one of them."
STATEMENT = '''def runs(xs: list[int], least: int) -> list[int]:
    """Return the lengths of the runs of equal numbers in xs that are at least so long, in their order.

    >>> runs([1, 1, 2, 3, 3, 3], 2)
    [2, 3]
    """
    pass
'''
PROGRAM = """from itertools import groupby

def runs(xs, least):
    lengths = [len(list(group)) for _, group in groupby(xs)]
    return [length for length in lengths if length >= least]
"""
OTHER = """def runs(numbers, least):
    found = []
    for place, number in enumerate(numbers):
        if place and numbers[place - 1] == number:
            found[-1] += 1
        else:
            found.append(1)
    return [length for length in found if length >= least]
"""
INPUTS = """VALUES = [([1, 1, 2, 3, 3, 3], 2), ([1, 2, 3], 1), ([5, 5, 5, 5], 3), ([5, 5, 4, 4], 2), ([0, 0, 1], 2)]
EDGE_CASES = [([], 1), ([1], 2), ([2, 2], 2), ([9, 9, 9, 1, 1], 4)]
PROPERTIES = [lambda xs, least, value: sum(value) <= len(xs)]
"""
ECHO = "```text\nRead a number n and then n whole numbers, one a line, and print the sum of those that are even.\n```"
ECHOED = "import sys\nnumbers = sys.stdin.read().split()\nprint(sum(int(x) for x in numbers[1:] if int(x) % 2 == 0))\n"
ECHO_INPUTS = r"""VALUES = ["3\n1\n2\n4\n", "1\n5\n", "2\n-2\n3\n", "4\n1\n2\n3\n8\n", "2\n10\n-6\n"]
EDGE_CASES = ["0\n", "1\n0\n"]
PROPERTIES = [lambda given, output: int(output) % 2 == 0]
"""


def said(text, fault=None, **changes):
    return TeacherResponse(text, "big:m", fault=fault, **changes)


def block(code, language="python"):
    return said(f"Here:\n```{language}\n{code}```\n")


def task(kind=ProblemKind.FUNCTION, parent=PARENT, reference=""):
    seed = Seed("s", parent, kind, "s", reference=reference)
    return Task("s~1", seed, kind, Lineage("s", "s", Operation.STEPS, "big:m", 1))


def draft(statement=STATEMENT, solutions=(PROGRAM, OTHER, PROGRAM, OTHER), inputs=INPUTS, **of_task):
    """Texts are put into blocks; whole responses are taken as they are."""

    def response(given):
        return block(given) if isinstance(given, str) else given

    made = tuple(response(solution) for solution in solutions)
    return Draft("s~1", task(**of_task), response(statement), made, response(inputs))


def script_draft(**changes):
    given = {"statement": said(ECHO), "solutions": (ECHOED,) * 4, "inputs": ECHO_INPUTS, "kind": ProblemKind.STDIO}
    return draft(**(given | changes))
