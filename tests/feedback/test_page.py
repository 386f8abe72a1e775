"""The page as people use it: by keyboard, two at once, reloaded in mid-answer, without the server for a while."""

import pytest

from rrtf_ray.feedback.app import Access
from rrtf_ray.feedback.database import FeedbackDatabase, sqlite_url
from rrtf_ray.records import Choice
from rrtf_ray.serving.keys import load_keys
from tests.feedback.browsing import answered, codes, opened, ready, served
from tests.feedback.pairs_for_tests import add_problem, queue_of

LONG = "\n".join(f"    value_{n} = {n}" for n in range(60))
HEAD = "def solve(xs):\n    # one\n    # two\n    # three\n    total = 0\n    for x in xs:\n"
LEFT = f"{HEAD}        total += x\n    return total\n{LONG}\n"
RIGHT = LEFT.replace("total += x", "total += abs(x)")


@pytest.fixture
def queue(tmp_path):
    made = queue_of(FeedbackDatabase(sqlite_url(tmp_path / "feedback.sqlite")), 8)
    yield made
    made.database.close()


def choices(queue):
    return [vote.choice for vote in queue.database.votes()]


def test_a_whole_session_by_keyboard(queue):
    from playwright.sync_api import expect

    with served(queue, rubric="The shorter one.") as url, opened(url) as page:
        ready(page)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("The shorter one.")
        page.keyboard.press("f")  # no choice while the overlay is there
        page.keyboard.press("Escape")
        for number, key in enumerate(("f", "ArrowRight", "Space", "x", "s"), 1):
            ready(page)
            page.keyboard.press(key)
            answered(page, number)
        expected = [Choice.LEFT, Choice.RIGHT, Choice.BOTH_GOOD, Choice.BOTH_BAD, Choice.SKIPPED]
        assert choices(queue) == expected
        page.keyboard.press("u")
        answered(page, 4)
        expect(page.locator("#said")).to_contain_text("taken back")
        ready(page)
        page.keyboard.press("r")
        page.keyboard.type("fewer steps, j and u are letters here")
        page.keyboard.press("Enter")
        page.keyboard.press("t")
        expect(page.locator("#left .tests")).to_contain_text("failed, 2 of 9 tests")
        page.keyboard.press("d")
        expect(page.locator("#difference")).to_be_visible()
        expect(page.locator("#panes")).to_be_hidden()
        page.keyboard.press("j")
        answered(page, 5)
        for number in (6, 7, 8):
            ready(page)
            page.keyboard.press("f")
            answered(page, number)
        expect(page.locator("#empty")).to_have_text("No pair is left for you now. Thank you!")
    votes = queue.database.votes()
    assert len(votes) == 8
    with_reason = next(v for v in votes if v.reason)
    assert (with_reason.reason, with_reason.choice) == ("fewer steps, j and u are letters here", Choice.RIGHT)
    assert with_reason.saw_tests
    assert all(0 < v.seconds < 60 for v in votes)


def test_the_next_pair_is_there_before_the_server_answers_and_a_held_key_is_one_choice(queue):
    with served(queue) as url, opened(url) as page:
        ready(page)
        held = []
        page.route("**/api/vote", lambda route: held.append(route))
        before = [page.locator("#problem-text").inner_text(), *codes(page)]
        page.keyboard.down("f")
        page.keyboard.down("f")  # repeats
        page.keyboard.down("f")
        page.keyboard.up("f")
        ready(page)
        assert [page.locator("#problem-text").inner_text(), *codes(page)] != before
        assert choices(queue) == []
        while not held:
            page.wait_for_timeout(10)
        held[0].continue_()
        answered(page, 1)
    assert choices(queue) == [Choice.LEFT]


def test_a_reload_in_mid_answer_keeps_the_pair_and_its_sides(queue):
    with served(queue) as url, opened(url) as page:
        ready(page)
        page.keyboard.press("f")
        answered(page, 1)
        ready(page)
        before = [page.locator("#problem-text").inner_text(), *codes(page)]
        page.reload()
        ready(page)
        assert [page.locator("#problem-text").inner_text(), *codes(page)] == before
        answered(page, 1)
        page.keyboard.press("u")  # the last vote is known after a reload as well
        answered(page, 0)


def test_two_annotators_at_once_see_nothing_of_each_other(queue):
    from playwright.sync_api import expect

    keys = load_keys(None, "ann=the-key-of-ann-here,bob=the-key-of-bob-here")
    with served(queue, Access(keys)) as url, opened(url) as ann:
        with ann.context.browser.new_context() as other:
            bob = other.new_page()
            bob.goto(url)
            seen = {}
            for name, page in (("ann", ann), ("bob", bob)):
                page.get_by_label("Your key").fill(f"the-key-of-{name}-here")
                page.keyboard.press("Enter")
                ready(page)
                expect(page.locator("#status-button")).to_be_hidden()
            for number in range(1, 5):
                for name, page in (("ann", ann), ("bob", bob)):
                    ready(page)
                    seen.setdefault(name, []).append(page.locator("#problem-text").inner_text())
                    page.keyboard.press("f")
                    answered(page, number)
            for page in (ann, bob):
                expect(page.locator("#empty")).to_be_visible()
                assert page.evaluate("Object.values(localStorage)") == []
        assert len(set(seen["ann"]) | set(seen["bob"])) == 8
        ann.reload()  # the key stays with its tab
        answered(ann, 4)
    assert len(queue.database.votes()) == 8


def test_a_wrong_key_is_said_and_can_be_given_again(queue):
    from playwright.sync_api import expect

    with served(queue, Access(load_keys(None, "ann=the-key-of-ann-here"))) as url:
        from tests.serving.page_checks import chromium_page

        with chromium_page() as page:
            page.goto(url)
            page.get_by_label("Your key").fill("not a key")
            page.keyboard.press("Enter")
            expect(page.locator("#said")).to_contain_text("That key does not work")
            page.get_by_label("Your key").fill("the-key-of-ann-here")
            page.keyboard.press("Enter")
            ready(page)
            assert "the-key" not in page.url + page.content()


def test_what_both_share_is_folded_and_words_that_differ_are_marked(tmp_path):
    from playwright.sync_api import expect

    queue = queue_of(FeedbackDatabase(sqlite_url(tmp_path / "f.sqlite")), 0)
    add_problem(queue, "p", [LEFT, RIGHT])
    with served(queue) as url, opened(url) as page:
        ready(page)
        assert "def solve" not in codes(page)[0]
        assert "total += " in codes(page)[0]
        expect(page.locator("#left .fold")).to_have_text("⋯ 5 lines that both begin with")
        page.keyboard.press("d")
        changed = page.locator("#difference .changed").all_text_contents()
        assert "".join(changed) == "abs()"
        expect(page.locator("#difference .fold")).to_have_count(2)
        assert page.locator("#difference .line").count() < 20
        page.keyboard.press("e")
        expect(page.locator("#difference .fold")).to_have_count(0)
        assert page.locator("#difference .line").count() == 2 * len(LEFT.splitlines())
        page.keyboard.press("d")
        box = page.locator("#left .code")
        page.keyboard.press("PageDown")
        assert box.evaluate("box => box.scrollTop") > 50
        assert page.locator("#right .code").evaluate("box => box.scrollTop") > 50
        assert page.evaluate("document.activeElement.id") == "main"


def test_a_lead_settles_conflicts_and_sees_the_status(tmp_path):
    from playwright.sync_api import expect

    from tests.feedback.pairs_for_tests import vote

    queue = queue_of(FeedbackDatabase(sqlite_url(tmp_path / "f.sqlite")), 1, overlap=1.0)
    for name in ("bob", "cid"):
        (given,) = queue.next(name)
        vote(queue, name, given, Choice.LEFT if (given.left < given.right) == (name == "bob") else Choice.RIGHT)
    status = {"votes": 2, "kappa": {"value": 0.123456, "<b>": None}}
    with served(queue, status=lambda: status) as url, opened(url) as page:
        expect(page.locator("#status-button")).to_be_visible()
        page.keyboard.press("a")
        expect(page.get_by_role("dialog")).to_contain_text("0.123")
        expect(page.get_by_role("dialog")).to_contain_text("<b>")
        page.keyboard.press("Escape")
        page.keyboard.press("c")
        ready(page)
        page.keyboard.press("j")
        expect(page.locator("#empty")).to_contain_text("No conflict is left")
        page.keyboard.press("c")
        expect(page.locator("#settle")).to_be_hidden()
    assert queue.database.votes()[-1].arm == "settle"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_has_contrast_everything_has_a_name_and_fits_a_laptop(tmp_path, dark):
    queue = queue_of(FeedbackDatabase(sqlite_url(tmp_path / "f.sqlite")), 0)
    code = "class A:\n    # why\n    def f(self):\n        return 'text', 12\n"
    add_problem(queue, "p", [code, code.replace("12", "13\u202e").replace("text", "texts")])
    with served(queue) as url, opened(url, dark=dark) as page:
        ready(page)
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        page.keyboard.press("t")
        for view in ("sides", "diff"):
            low = page.evaluate(_CONTRASTS)
            assert low == [], view
            page.keyboard.press("d")
        for button in page.get_by_role("button").all():
            assert button.inner_text().strip()
        for region in page.get_by_role("region").all():
            assert region.get_attribute("aria-labelledby")
        reached = set()
        for _ in range(30):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.innerText ?? ''").strip().partition("\n")[0])
        assert any(text.startswith("Left is better") for text in reached)
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        left, right = page.locator("#left").bounding_box(), page.locator("#right").bounding_box()
        assert right["y"] >= left["y"] + left["height"]


_CONTRASTS = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = channels(getComputedStyle(node).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    if (!node.checkVisibility() || ![...node.childNodes].some((c) => c.nodeType === 3 && c.data.trim())) continue;
    const [a, b] = [luminance(channels(getComputedStyle(node).color)), luminance(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${node.tagName}.${node.className} ${ratio.toFixed(2)}`);
  }
  return low;
}"""
