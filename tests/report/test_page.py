"""The page: hostile texts stay texts, and a real browser shows every section without a complaint."""

import re
from html.parser import HTMLParser

from rrtf_ray.config import Draw
from rrtf_ray.core.ranking import rank
from rrtf_ray.records import Candidate, Group, Outcome, Source, Split, TestStatus, Verdict
from rrtf_ray.report.contents import part_of
from rrtf_ray.report.rendering import render
from rrtf_ray.report.texts import visible
from rrtf_ray.store.run_dir import RunDir
from tests.records_for_tests import problem
from tests.report.run_for_tests import DRAWS, EVALUATED, evaluated, finished_run, write, write_config, write_evaluation
from tests.serving.page_checks import chromium_page

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"' onmouseover='alert(1)",
    "</title></style></pre></details></svg><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)//\u2028\u2029",
    "\u202egnp.exe\u2066 \u200b\ufeff",
    "\x00\x1b[31m&lt;&#60;",
    "<!--<iframe srcdoc='<script>alert(1)</script>'>",
    "x" * 3000,
    "y\n" * 3000,
    "z" * 1_000_000,
]
TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body", "a", "header", "nav", "main", "section", "footer"),
    *("h1", "h2", "h3", "h4", "p", "ul", "li", "b", "strong", "span", "br", "code", "pre", "details", "summary", "div"),
    *("figure", "figcaption", "table", "caption", "thead", "tbody", "tr", "th", "td", "del", "ins"),
    *("svg", "desc", "defs", "g", "path", "use", "text", "clippath", "rect"),
}


class Page(HTMLParser):
    """The tags, attributes and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.ids, self.targets = set(), set(), [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.ids += [value for name, value in attributes if name == "id"]
        self.targets |= {value[1:] for name, value in attributes if name == "href" and value.startswith("#")}
        assert (
            not [value for name, value in attributes if name in ("href", "src") and value[:1] != "#"] or tag == "link"
        )

    def handle_data(self, data):
        self.texts.append(data)


def page_of(*places, audit=0):
    return render([part_of(str(place), f"run-{number}", audit) for number, place in enumerate(places, 1)])


def hostile_run(place):
    """Every text that a model, a problem or a setting can bring is hostile."""
    run = RunDir(str(place))
    failed = Verdict(Outcome.FAILED, (TestStatus.FAILED,), detail=HOSTILE[0])

    def said(id_, text, verdict):
        return Candidate(id_, Source.STUDENT, text, text, text, text, "stop", verdict=verdict)

    def groups(verdict):
        return [
            Group(problem(f"{n}{text[:40]}", prompt=text), (said("s0", text, verdict), said("s1", text[::-1], failed)),
                  error=text)
            for n, text in enumerate(HOSTILE)
        ]  # fmt: skip

    passed = Verdict(Outcome.PASSED, (TestStatus.PASSED,))
    config = write_config(run, sample={"system": HOSTILE[0], "stop": HOSTILE[1:6]})
    write(run.groups(1), groups(passed))
    write(run.rankings(1), [rank(group, config.rank) for group in groups(passed)])
    for split in Split:
        write(run.problems(split), [group.problem for group in groups(passed)])
    write_evaluation(run, "base", groups(failed), DRAWS[:1])
    write_evaluation(run, "round-01", groups(passed), DRAWS[:1])
    return run


def test_hostile_texts_stay_texts(tmp_path):
    place = tmp_path / "<b onclick=alert(1)>"
    hostile_run(place)
    text = page_of(place)
    page = Page(text)
    assert page.tags <= TAGS
    assert not [name for name in page.attributes if name.startswith("on") or name in ("src", "srcdoc", "action")]
    shown = "".join(page.texts)
    for hostile in HOSTILE[:9]:
        assert shown.count(visible(hostile)) > 2, hostile
    assert not re.search(r"[\u2028\u2029\u202e\u2066\u200b\ufeff\x00\x1b]", text)
    assert "more characters)" in shown
    assert len(text) < 1_000_000


def test_no_id_is_there_twice_and_links_lead_somewhere(tmp_path):
    runs = [finished_run(tmp_path / name).uri for name in ("one", "two")]
    page = Page(page_of(*runs))
    assert len(page.ids) == len(set(page.ids))
    assert page.targets <= set(page.ids)


def test_the_same_run_gives_the_same_page(tmp_path):
    place = finished_run(tmp_path / "run").uri
    assert page_of(place, audit=5) == page_of(place, audit=5)


def test_what_was_counted_is_shown(tmp_path):
    shown = re.sub(r"\s+", " ", "".join(Page(page_of(finished_run(tmp_path / "run").uri, audit=5)).texts))
    for part in (
        "1 fixed, 1 broken",
        "the same code again, among students or among teachers: 1 candidate",
        "tied: 2 candidates of 1 problem",
        "too_long, a response: 1 candidate",
        "8 candidates: 7 of the student, 1 of teachers.",
        "A sample of 5 of 5 problems",
        "Round 1, 4 steps",
        "ray 2",
        "train.max_candidates",
    ):
        assert part in shown, part


def test_draws_of_one_kind_are_told_apart(tmp_path):
    run = RunDir(str(tmp_path / "run"))
    write_config(run)
    for name, outcomes in EVALUATED.items():
        write_evaluation(run, name, evaluated(outcomes), [Draw(n=1, temperature=0.8), Draw(n=2, temperature=0.8)])
    text = page_of(run.uri)
    assert '<th scope="row">pass@1, T=0.8</th><td class="number wide">66.7%' in text
    assert '<th scope="row">pass@1, T=0.8, top_p=0.95</th><td class="number wide">50.0%' in text


def test_a_browser_shows_every_section_without_a_complaint(tmp_path):
    runs = [finished_run(tmp_path / "run").uri, hostile_run(tmp_path / "hostile").uri]
    file = tmp_path / "report.html"
    file.write_text(page_of(*runs, audit=2), encoding="utf-8")
    assert file.stat().st_size < 5 * 2**20
    with chromium_page() as page:
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: said.append(request.url) if request.url[:5] not in ("file:", "data:") else 0)
        page.goto(file.as_uri())
        check_structure(page)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            back, text = (
                page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color")
            )
            assert (brightness(back) < brightness(text)) == (scheme == "dark")
            assert page.locator("svg.plot text").first.evaluate("e => getComputedStyle(e).fill") == text
        assert said == []


def check_structure(page):
    """Headings, landmarks, named plots, and details that a keyboard opens."""
    headings = page.get_by_role("heading", level=2).all_text_contents()
    assert headings[:3] == ["Before and after", "What became of the candidates", "Problems fixed and broken: run"]
    for heading in ("Rankings: run", "Training: run", "Audit of the reward: hostile", "Settings, environment and time"):
        assert heading in headings
    assert page.get_by_role("navigation").count() == page.get_by_role("main").count() == 1
    assert page.get_by_role("img", name="pass@1, greedy, with 95% intervals").count() == 1
    first = page.locator("summary").first
    first.focus()
    page.keyboard.press("Enter")
    assert first.evaluate("e => e.parentElement.open")


def brightness(colour):
    return sum(map(int, re.findall(r"\d+", colour)[:3]))
