"""Near copies: of what is held out, of seeds, and of each other."""

from rrtf_ray.core.contamination import CloseTexts
from rrtf_ray.core.words import words_of
from rrtf_ray.evolve.apart import Known, copies, known_problem
from rrtf_ray.evolve.records import Rejection
from rrtf_ray.records import Test, TestKind
from tests.records_for_tests import problem

TEXT = "Count the services of a log that report an error in every hour of a day and return their names in order."
ANOTHER = "Given the heights of a row of hills say from how many of them the sea at its western end can be seen."


def known(id_, text, solution=""):
    return Known(id_, words_of(text), solution)


def reasons(new, held_out=(), others=()):
    return {id_: found.reason for id_, found in copies(new, held_out, others, 0.5, 0.75).items()}


def test_copies_of_what_is_held_out_are_found_by_text_and_by_solution():
    new = [
        known("a", f"{TEXT} Please."),
        known("b", ANOTHER, "x + 1"),
        known("c", "All new words in this one here.", "x - 1"),
    ]
    held_out = [known("h", TEXT), known("i", "Something else that nobody has said so far.", "x + 1")]
    assert reasons(new, held_out) == {"a": Rejection.COPY_OF_HELD_OUT, "b": Rejection.COPY_OF_HELD_OUT}


def test_held_out_problems_are_kept_further_away_than_others():
    half = TEXT.replace("services", "hosts")
    assert 0.5 < CloseTexts([("o", words_of(TEXT))], 0.1).close_to(words_of(half))[0][1] < 0.75
    assert reasons([known("a", half)], others=[known("o", TEXT)]) == {}
    assert reasons([known("a", half)], held_out=[known("o", TEXT)]) == {"a": Rejection.COPY_OF_HELD_OUT}


def test_of_two_that_are_alike_the_first_stays():
    new = [
        known("a", TEXT),
        known("b", TEXT),
        known("c", ANOTHER, "x"),
        known("d", "Words of its own it has, this one.", "x"),
    ]
    assert reasons(new) == {"b": Rejection.COPY_OF_ANOTHER, "d": Rejection.COPY_OF_ANOTHER}


def test_one_that_goes_takes_no_other_with_it():
    new = [known("a", TEXT), known("b", TEXT)]
    held_out = [known("h", "Nothing alike is said in here at all.", "y")]
    assert reasons([known("a", TEXT, "y"), new[1]], held_out) == {"a": Rejection.COPY_OF_HELD_OUT}


def test_no_solution_is_like_no_other():
    assert reasons([known("a", TEXT), known("b", ANOTHER)]) == {}


def test_a_solution_is_compared_whatever_it_is_called():
    def made(name, argument):
        tests = (Test(TestKind.VALUE, "(1,)", "2"),)
        prompt, body = f"def {name}({argument}):\n", f"    return {argument} + 1\n"
        return known_problem(problem(name, prompt=prompt, entry_point=name, reference=body, tests=tests))

    assert made("f", "x").solution == made("g", "value").solution
    assert made("f", "x").solution
