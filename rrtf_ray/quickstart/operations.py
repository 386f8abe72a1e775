"""The steps that quickstart problems are composed of: a phrase, the code it means, and ways to get it wrong.

Every step reads the variable `numbers`. A list step makes a new list of it; a fold ends the function with a value. In
phrases and code, `{k}` is the step's constant, `{j}` is k - 1 and `{l}` is k + 1. The wrong versions are those that
people and models write: off by one, `>` for `>=`, the other direction, a missing `abs`.

Limits: single-digit constants, which are one token to copy; integers only, which keeps results exact.
"""

from __future__ import annotations

from dataclasses import dataclass

SMALL = (2, 3, 4, 5)
DIGITS = (1, 2, 3, 4, 5, 6, 7, 8, 9)
FACTORS = (2, 3, 4, 5, 6, 7, 8, 9)


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of step.

    phrase: what the docstring says, starting with an imperative verb in lower case.
    code: the right expression over `numbers`.
    bugs: wrong expressions, the most common one first; at least one.
    constants: the values that `{k}` takes; empty if the step has no constant.
    returns: the annotation of the value; `list[int]` for a list step.
    """

    phrase: str
    code: str
    bugs: tuple[str, ...]
    constants: tuple[int, ...] = ()
    returns: str = "list[int]"


def _keep(phrase: str, test: str, *wrong: str, constants: tuple[int, ...] = ()) -> Operation:
    """A filter; `test` and `wrong` are conditions on `n`."""
    code, *bugs = (f"[n for n in numbers if {condition}]" for condition in (test, *wrong))
    return Operation(phrase, code, tuple(bugs), constants)


def _each(phrase: str, value: str, *wrong: str, constants: tuple[int, ...] = ()) -> Operation:
    """A map; `value` and `wrong` are expressions of `n`."""
    code, *bugs = (f"[{expression} for n in numbers]" for expression in (value, *wrong))
    return Operation(phrase, code, tuple(bugs), constants)


def _list(phrase: str, code: str, *bugs: str, constants: tuple[int, ...] = ()) -> Operation:
    return Operation(phrase, code, bugs, constants)


def _fold(phrase: str, code: str, *bugs: str, constants: tuple[int, ...] = (), returns: str = "int") -> Operation:
    return Operation(f"return {phrase}", code, bugs, constants, returns)


LIST_OPERATIONS: dict[str, Operation] = {
    "keep_above": _keep("keep the numbers greater than {k}", "n > {k}", "n >= {k}", "n < {k}", constants=DIGITS),
    "keep_below": _keep("keep the numbers less than {k}", "n < {k}", "n <= {k}", "n > {k}", constants=DIGITS),
    "keep_at_least": _keep("keep the numbers that are at least {k}", "n >= {k}", "n > {k}", constants=DIGITS),
    "keep_even": _keep("keep the even numbers", "n % 2 == 0", "n % 2 == 1"),
    "keep_odd": _keep("keep the odd numbers", "n % 2 == 1", "n % 2 == 0"),
    "keep_multiples": _keep("keep the multiples of {k}", "n % {k} == 0", "n % {k} == 1", constants=FACTORS[1:]),
    "drop_multiples": _keep("drop the multiples of {k}", "n % {k} != 0", "n % {k} == 0", constants=FACTORS[1:]),
    "keep_positive": _keep("keep the positive numbers", "n > 0", "n >= 0"),
    "keep_negative": _keep("keep the negative numbers", "n < 0", "n <= 0", "n > 0"),
    "remove_value": _keep("remove every {k}", "n != {k}", "n == {k}", constants=DIGITS),
    "add": _each("add {k} to each number", "n + {k}", "n + {l}", constants=DIGITS[:-1]),
    "subtract": _each("subtract {k} from each number", "n - {k}", "{k} - n", constants=DIGITS),
    "multiply": _each("multiply each number by {k}", "n * {k}", "n + {k}", constants=FACTORS[1:]),
    "square": _each("square each number", "n * n", "n * 2"),
    "negate": _each("negate each number", "-n", "abs(n)"),
    "absolute": _each("take the absolute value of each number", "abs(n)", "-n"),
    "divide": _each("divide each number by {k} rounding down", "n // {k}", "n % {k}", constants=FACTORS),
    "remainder": _each("take the remainder of each number modulo {k}", "n % {k}", "n // {k}", constants=FACTORS[1:]),
    "cap": _each("lower each number to at most {k}", "min(n, {k})", "max(n, {k})", constants=DIGITS),
    "lift": _each("raise each number to at least {k}", "max(n, {k})", "min(n, {k})", constants=DIGITS),
    "sort": _list("sort the numbers", "sorted(numbers)", "sorted(numbers, reverse=True)", "sorted(set(numbers))"),
    "sort_down": _list(
        "sort the numbers in descending order",
        "sorted(numbers, reverse=True)",
        "sorted(numbers)",
        "numbers[::-1]",
    ),
    "sort_by_size": _list("sort the numbers by absolute value", "sorted(numbers, key=abs)", "sorted(numbers)"),
    "reverse": _list("reverse the list", "numbers[::-1]", "sorted(numbers, reverse=True)"),
    "first": _list("take the first {k} numbers", "numbers[:{k}]", "numbers[:{j}]", "numbers[{k}:]", constants=SMALL),
    "last": _list("take the last {k} numbers", "numbers[-{k}:]", "numbers[{k}:]", "numbers[:-{k}]", constants=SMALL),
    "drop_first": _list(
        "drop the first {k} numbers", "numbers[{k}:]", "numbers[{j}:]", "numbers[:{k}]", constants=SMALL
    ),
    "drop_last": _list("drop the last {k} numbers", "numbers[:-{k}]", "numbers[-{k}:]", constants=SMALL),
    "every_other": _list(
        "take every second number starting with the first", "numbers[::2]", "numbers[1::2]", "numbers[2:]"
    ),
    "unique": _list("remove duplicates keeping the order", "list(dict.fromkeys(numbers))", "sorted(set(numbers))"),
    "running_total": _list(
        "replace each number by the running total",
        "[sum(numbers[:i + 1]) for i in range(len(numbers))]",
        "[sum(numbers[:i]) for i in range(len(numbers))]",
    ),
    "differences": _list(
        "take the differences between neighbours",
        "[b - a for a, b in zip(numbers, numbers[1:])]",
        "[a - b for a, b in zip(numbers, numbers[1:])]",
    ),
    "times_index": _list(
        "multiply each number by its index",
        "[i * n for i, n in enumerate(numbers)]",
        "[i * n for i, n in enumerate(numbers, 1)]",
    ),
}

FOLDS: dict[str, Operation] = {
    "sum": _fold("the sum", "sum(numbers)", "sum(numbers[1:])", "len(numbers)"),
    "count": _fold("the count", "len(numbers)", "len(numbers) - 1", "len(set(numbers))"),
    "distinct": _fold("the number of distinct values", "len(set(numbers))", "len(numbers)"),
    "largest": _fold("the largest or 0", "max(numbers, default=0)", "min(numbers, default=0)", "max(numbers)"),
    "smallest": _fold("the smallest or 0", "min(numbers, default=0)", "max(numbers, default=0)", "min(numbers)"),
    "spread": _fold(
        "the largest minus the smallest or 0",
        "max(numbers, default=0) - min(numbers, default=0)",
        "min(numbers, default=0) - max(numbers, default=0)",
        "max(numbers) - min(numbers)",
    ),
    "sum_of_squares": _fold("the sum of squares", "sum(n * n for n in numbers)", "sum(numbers) ** 2"),
    "sum_of_sizes": _fold("the sum of absolute values", "sum(abs(n) for n in numbers)", "abs(sum(numbers))"),
    "head": _fold(
        "the first number or 0", "numbers[0] if numbers else 0", "numbers[-1] if numbers else 0", "numbers[0]"
    ),
    "tail": _fold(
        "the last number or 0", "numbers[-1] if numbers else 0", "numbers[0] if numbers else 0", "numbers[-1]"
    ),
    "average": _fold(
        "the average rounded down or 0",
        "sum(numbers) // len(numbers) if numbers else 0",
        "sum(numbers) // 2 if numbers else 0",
        "sum(numbers) // len(numbers)",
    ),
    "count_above": _fold(
        "how many are greater than {k}",
        "sum(n > {k} for n in numbers)",
        "sum(n >= {k} for n in numbers)",
        constants=DIGITS,
    ),
    "any_multiple": _fold(
        "whether any is a multiple of {k}",
        "any(n % {k} == 0 for n in numbers)",
        "all(n % {k} == 0 for n in numbers)",
        constants=FACTORS,
        returns="bool",
    ),
    "all_above": _fold(
        "whether all are greater than {k}",
        "all(n > {k} for n in numbers)",
        "any(n > {k} for n in numbers)",
        "all(n >= {k} for n in numbers)",
        constants=DIGITS,
        returns="bool",
    ),
}

OPERATIONS: dict[str, Operation] = LIST_OPERATIONS | FOLDS
