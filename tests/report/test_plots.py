"""Plots: the page's colours, no ids that clash, and the numbers in words."""

import math
import re
import xml.etree.ElementTree as ET

from rrtf_ray.report.plots import Curve, Interval, curves, intervals

HOSTILE = "</svg><script>$x_1$\u202e & \"'"


def root_of(svg):
    return ET.fromstring(str(svg).replace("<svg ", '<svg xmlns:xlink="x" ', 1))


def test_labels_are_escaped_and_no_mathematics():
    svg = intervals([Interval(HOSTILE, 0, 0.5, 0.4, 0.6)], "one", HOSTILE, HOSTILE)
    root = root_of(svg)  # well-formed
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    text = "".join(root.itertext())
    assert "$x_1$‹U+202E›" in text
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "one-title one-desc"


def test_colours_are_the_pages():
    svg = str(curves([Curve("loss", (1.0, 2.0)), Curve("margin", (2.0, 1.0))], [2], "c", "Loss"))
    assert not re.findall(r"#[0-9a-fA-F]{6}", svg)
    for colour in ("var(--s1)", "var(--s2)", "var(--line)", "currentColor"):
        assert colour in svg
    for absent in ("<?xml", "<style", "<metadata", "http:", "https:", "font-family"):
        assert absent not in svg.replace("http://www.w3.org", "")


def test_ids_do_not_clash_and_the_same_numbers_give_the_same_plot():
    first, second, again = (str(curves([Curve("loss", (1.0, 2.0))], [], name, "Loss")) for name in ("a", "b", "a"))
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    assert not ids[0] & ids[1]
    for svg, known in zip((first, second), ids, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= known
    assert first == again


def test_gaps_single_points_and_many_points():
    nothing = (math.nan, math.nan)
    text = str(curves([Curve("loss", (1.0, math.nan, 3.0)), Curve("margin", nothing)], [], "c", "Loss"))
    assert "loss: from 1 to 3, least 1, most 3; margin: no values" in text
    assert "nan" not in text.lower()
    assert len(str(curves([Curve("loss", (1.0,))], [], "c", "Loss"))) < 50_000
    assert len(str(curves([Curve("loss", tuple(map(float, range(100_000))))], [], "c", "Loss"))) < 50_000
