"""Programs are hostile text: nothing in one runs, leaves its box, or is invisible."""

import pytest

from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url
from tests.feedback.browsing import opened, ready, served
from tests.feedback.pairs_for_tests import add_problem, queue_of

HOSTILE = {
    "script": "</script><script>document.title = 'taken'</script>",
    "image": "<img src=x onerror=\"document.title = 'taken'\">",
    "attribute": "\"' onmouseover='alert(1)' style='position:fixed;inset:0'",
    "template": "{{7*7}} ${alert(1)} <%= 1 %> javascript:alert(1)",
    "entities": "&lt;b&gt; &amp;amp; &#x202e; <!-- <![CDATA[",
    "bidirectional": "access = 'user\u202e \u2066// admin\u2069 \u2066' # \u05d0\u05d1 \u0627\u0644",
    "nul": "a\0b\x07\x08\x7f\x1b[2J\x1b[31mred\x1b]8;;http://x\x07",
    "zero width": "pass\u200bword\u200d = \u2060pass\ufeffword\u00ad",
    "homoglyph blanks": "x\u00a0=\u3000\u2003\u28001\u3164\u115f",
    "line ends": "a\rb\x0bc\x0cd\u2028e\u2029f\x85g\r\nh",
    "combining": "e" + "\u0301" * 3000 + "\nnext line\n" + "o\u0489" * 40,
    "surrogates": "'\ud800' '\udfff\ud800'",
    "private": "\ue000\U000f0000\U0010ffff\ufffe\U000e0041",
    "tags": "ok\U000e0067\U000e0062\ufe0f",
    "long line": "x = '" + "a" * 10_000 + "'",
    "long words": " ".join(["w" * 3000] * 5),
    "many lines": "\n".join(f"line_{n} = {n}" for n in range(5000)),
    "many tokens": "a+1 " * 40_000,
    "many quotes": "\"'" * 50_000,
    "open string": "'''" + "never closed \\" * 5000,
    "many marks": "\u202e\u202d" * 20_000,
    "tabs": "\t" * 400 + "far",
    "emptiness": "\n" * 3000,
    "tall": "\ufdfd" * 50 + "\U0001242b\u0f37" * 50,
}
LIMIT_MS = 5000
"""On a busy machine; a quiet one takes a tenth."""


@pytest.fixture
def queue(tmp_path):
    made = queue_of(FeedbackDatabase(sqlite_url(tmp_path / "feedback.sqlite")), 0, lease_s=1e9)
    yield made
    made.database.close()


_OUTSIDE = """() => {
  const found = [];
  for (const box of document.querySelectorAll(".code")) {
    if (!box.checkVisibility()) continue;
    const outer = box.getBoundingClientRect();
    if (box.scrollWidth > box.clientWidth + 1) found.push("wider than its box");
    if (outer.right > innerWidth + 1) found.push("outside the window");
    for (const line of [...box.querySelectorAll(".line")].slice(0, 200)) {
      const inner = line.getBoundingClientRect();
      if (inner.right > outer.right + 1 || inner.left < outer.left - 1) found.push("a line outside its box");
      if (getComputedStyle(line).overflow !== "hidden") found.push("a line that overflows");
    }
  }
  const {scrollWidth} = document.documentElement;
  if (scrollWidth > innerWidth) found.push("the page is wider than the window");
  return [...new Set(found)];
}"""


def test_hostile_programs_stay_in_their_boxes_and_run_nothing(queue):
    from playwright.sync_api import expect

    for number, text in enumerate(HOSTILE.values()):
        add_problem(queue, f"p{number}", [text, "pass\n"], priority=-float(number))
        with queue.database.writing() as connection:
            connection.exec_driver_sql(
                "UPDATE problems SET prompt = ? WHERE problem_id = ?", (_storable(text), f"p{number}")
            )
    with served(queue) as url, opened(url) as page:
        for number, (name, text) in enumerate(HOSTILE.items(), 1):
            ready(page)
            for view in ("sides", "diff"):
                assert page.evaluate(_OUTSIDE) == [], (name, view)
                shown = page.locator("#left .code").text_content() + page.locator("#right .code").text_content()
                if view == "sides" and len(text) < 1000:
                    assert "".join(_marked(text).split("\n")) in shown, name
                page.keyboard.press("d")
            assert page.title() != "taken"
            assert page.locator(".code img, .code script, .code style, .code a").count() == 0
            began = page.evaluate("performance.now()")
            page.keyboard.press("s")
            expect(page.locator("#progress")).to_contain_text(f"{number} answered")
            assert page.evaluate("performance.now()") - began < LIMIT_MS, name
        expect(page.locator("#empty")).to_be_visible()


def test_what_cannot_be_seen_is_marked(queue):
    add_problem(queue, "p", [HOSTILE["bidirectional"], HOSTILE["nul"]])
    with served(queue) as url, opened(url) as page:
        ready(page)
        marks = set(page.locator("#panes .mark").all_text_contents())
        assert {"‹U+202E›", "‹U+2066›", "‹U+0000›", "‹U+001B›", "‹U+0007›"} <= marks


def _storable(text):
    from rrtf_ray.feedback.tables import AnyText

    return AnyText().process_bind_param(text, None)


def _marked(text):
    """As the page marks it, for short texts: by Unicode's categories, which Python knows too."""
    import re
    import unicodedata

    def is_hidden(c):
        category = unicodedata.category(c)
        return c not in "\n\t" and (
            category in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
            or (category == "Zs" and c != " ")
            or c in "\u115f\u1160\u3164\uffa0\u2800"
            or "\ufe00" <= c <= "\ufe0f"
        )

    def of(run):
        c = run[0]
        if not is_hidden(c):
            return run[0:]
        return f"‹U+{ord(c):04X}›" if len(run) == 1 else f"‹U+{ord(c):04X} ×{len(run)}›"

    return re.sub(r"(.)\1*", lambda m: of(m[0]), text)
