"""Protocols: what the hash covers, and files of one's own."""

import hashlib

import pytest

from rrtf_ray.benchmark.protocols import ABOUT, SHIPPED, Protocol, protocol_of
from rrtf_ray.errors import ConfigError

MINE = """\
name: mine
prompt: docstring-first
draws:
  - {n: 4, temperature: 0.2, k: [1]}
  - {n: 4, temperature: 1.2, k: [2, 4]}
"""


def written(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_the_shipped_ones():
    assert set(SHIPPED) == set(ABOUT)
    paper = protocol_of("paper")
    assert [(d.name, d.n, d.top_p, d.k) for d in paper.draws] == [
        ("T=0.2", 200, 0.95, (1,)),
        ("T=1.2", 200, 0.95, (10, 100)),
    ]
    assert paper.prompt == "docstring-first"
    [draw] = protocol_of("greedy").draws
    assert (draw.name, draw.n, draw.temperature, draw.k) == ("greedy", 1, 0.0, (1,))


def test_the_hash_is_of_the_canonical_json_without_the_name():
    text = (
        '{"cpu_s":3.0,"draws":[{"k":[1],"n":1,"temperature":0.0,"top_p":1.0}],"instruction":"","max_tokens":512,'
        '"memory_mb":1024,"preload":[],"prompt":"completion","seed":0,"stop":[],"system":"","thinking":false,'
        '"wall_s":12.0}'
    )
    assert protocol_of("greedy").hash == hashlib.sha256(text.encode()).hexdigest()


def test_every_field_but_the_name_changes_the_hash():
    changes = {
        "name": "other",
        "prompt": "chat",
        "draws": [{"n": 2, "temperature": 0.5}],
        "max_tokens": 5,
        "stop": ["x"],
        "system": "s",
        "instruction": "{prompt}",
        "thinking": True,
        "cpu_s": 1.0,
        "wall_s": 30.0,
        "memory_mb": 512,
        "preload": ["numpy"],
        "seed": 1,
    }
    assert changes.keys() == Protocol.model_fields.keys()
    hashes = {
        key: Protocol.model_validate({"name": "greedy", key: value}, strict=False).hash
        for key, value in changes.items()
    }
    assert hashes.pop("name") == SHIPPED["greedy"].hash
    assert len({*hashes.values(), SHIPPED["greedy"].hash}) == len(hashes) + 1


def test_a_file_of_one_s_own(tmp_path):
    protocol = protocol_of(written(tmp_path, MINE))
    assert (protocol.name, protocol.draws[1].k, protocol.max_tokens) == ("mine", (2, 4), 512)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MINE + "max_token: 5\n", r"mine.yaml:6: unknown key 'max_token'; did you mean 'max_tokens'"),
        (
            MINE.replace("n: 4, temperature: 1.2", "n: 3, temperature: 1.2"),
            r"mine.yaml:5: draws.1.*n=3 is less than k=4",
        ),
        (MINE.replace("1.2", "0.2"), "two draws are T=0.2"),
        (MINE.replace("[1]", "[]"), "k is empty"),
        (MINE.replace("[1]", "[0]"), "k=0 is not a number"),
        ("name: mine\ndraws: []\n", "draws is empty"),
        ("name: mine\ncpu_s: 20.0\n", r"wall_s=12.0 is below cpu_s=20.0"),
        ("name: mine\ninstruction: Do it.\n", "does not contain {prompt}"),
        ("name: paper\n", "name='paper' is a shipped protocol that differs"),
        ("max_tokens: 5\n", "name: field required"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line_and_key(tmp_path, text, says):
    with pytest.raises(ConfigError, match=says):
        protocol_of(written(tmp_path, text))


def test_an_unknown_name_is_refused_with_those_that_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown protocol 'gredy'; there are greedy, paper, chat, or give a FILE"):
        protocol_of("gredy")
    with pytest.raises(ConfigError, match=r"nothing.yaml' does not exist"):
        protocol_of(str(tmp_path / "nothing.yaml"))
