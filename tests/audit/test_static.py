"""What reading shows: the answer in the statement, and what changes by itself."""

import pytest

from rrtf_ray.audit.static import answer_in_statement, changes_by_itself
from rrtf_ray.records import Test, TestKind
from tests.records_for_tests import problem

BODY = "    total = 0\n    for item in x:\n        total += item\n    return total\n"
HEAD = "def f(x):\n"


def asked(prompt, reference=BODY, test="assert f([1]) == 1"):
    return problem("p", prompt=prompt, entry_point="f", reference=reference, tests=(Test(TestKind.ASSERT, test),))


@pytest.mark.parametrize(
    "prompt",
    [
        "'''As this:\n" + BODY + "'''\n" + HEAD,
        "def other(y):\n    s = 0\n    for e in y:\n        s += e\n    return s\n" + HEAD,
    ],
)
def test_the_answer_is_found(prompt):
    assert answer_in_statement(asked(prompt))


@pytest.mark.parametrize(
    ("prompt", "reference"),
    [
        (HEAD, BODY),
        ("def help(y):\n    '''Given.'''\n    return [e + 1 for e in y if e]\n" + HEAD, BODY),
        ("'''Return x.'''\n" + HEAD, "    return x\n"),
        (HEAD, ""),
    ],
)
def test_a_helper_and_a_short_answer_are_no_leak(prompt, reference):
    assert not answer_in_statement(asked(prompt, reference))


@pytest.mark.parametrize(
    ("test", "found"),
    [
        ("import random\nassert f([random.random()])", ["a test uses randomness (random.random)"]),
        ("import random\nrandom.seed(1)\nassert f([random.random()])", []),
        ("import random\nr = random.Random(3)\nassert f([1])", []),
        ("import time as t\nassert f([t.time()])", ["a test uses time (t.time)"]),
        ("from datetime import date\nassert f([date.today().year])", ["a test uses time (date.today)"]),
        ("from datetime import date\nassert f([date(2020, 1, 1).year])", []),
        ("import urllib.request\nurllib.request.urlopen('u')", ["a test uses the network (urllib.request.urlopen)"]),
        ("random = f\nassert random([1]) == 1", []),
        ("import random\nassert f([1]) == 1", []),
    ],
)
def test_what_changes_by_itself(test, found):
    assert changes_by_itself(asked(HEAD, test=test)) == found
