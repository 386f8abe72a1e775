import hashlib
import hmac
import pickle

import pytest

from rrtf_ray.errors import DataError, InputError
from rrtf_ray.serving.keys import Key, KeyFile, Keys, load_keys, new_key

SECRET = "a-key-of-someone-long-enough"
OTHER = "another-key-of-someone-else"


def hashed(key):
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def write(tmp_path):
    def _write(text):
        path = tmp_path / "keys.txt"
        path.write_text(text)
        return str(path)

    return _write


def test_a_new_key_opens_the_server_that_has_its_line(write):
    key, line = new_key("alice", rate=60, concurrency=4)
    assert line == f"alice {hashed(key)} rate=60 concurrency=4"
    assert key.startswith("rrtf-")
    assert len(key) >= len("rrtf-") + 43  # 32 bytes in base64
    found = load_keys(write(line), None).find(f"Bearer {key}")
    assert (found.name, found.rate, found.concurrency) == ("alice", 60, 4)


def test_new_keys_differ_and_their_settings_may_be_left_out():
    (first, line), (second, _) = new_key("a"), new_key("a")
    assert first != second
    assert line == f"a {hashed(first)}"
    assert new_key("a", rate=1234567.0)[1].endswith(" rate=1234567")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a b",), "'a b'.*letters"),
        (("",), "''"),
        (("a\n",), "not a name"),
        (("a", 0), "rate=0.*above 0"),
        (("a", 60, 0), "concurrency=0.*from 1"),
        (("a", float("inf")), "rate=inf"),
    ],
)
def test_a_new_key_needs_a_name_and_settings_that_a_file_takes(arguments, says):
    with pytest.raises(InputError, match=says):
        new_key(*arguments)


def test_file_with_comments_blank_lines_and_capital_digits(write):
    digits = hashed(OTHER).removeprefix("sha256:").upper()
    found = load_keys(write(f"# who\n\nalice {hashed(SECRET)} rate=0.5  # slowly\n\tbob\tsha256:{digits}\n"), None)
    assert [(key.name, key.rate, key.concurrency) for key in found.keys] == [("alice", 0.5, None), ("bob", None, None)]
    assert found.find(f"Bearer {OTHER}").name == "bob"


def test_byte_order_mark_is_no_part_of_a_name(write):
    assert load_keys(write(f"\ufeffalice {hashed(SECRET)}"), None).keys[0].name == "alice"


def test_environment_names_keys_or_numbers_them(write):
    found = load_keys(write(f"alice {hashed('x' * 16)}"), f"bob={SECRET}, {OTHER},,carol=QUJDREVGR0hJSktMTU5PUA==")
    assert [key.name for key in found.keys] == ["alice", "bob", "key-2", "carol"]
    assert found.find(f"Bearer {SECRET}").name == "bob"
    assert found.find(f"Bearer {OTHER}").name == "key-2"
    assert found.find("Bearer QUJDREVGR0hJSktMTU5PUA==").name == "carol"


def test_without_keys_the_server_is_open():
    assert load_keys(None, None).open
    assert load_keys(None, None).find(f"Bearer {SECRET}") is None
    assert not load_keys(None, SECRET).open


@pytest.mark.parametrize(
    ("authorization", "api_key", "known"),
    [
        (f"Bearer {SECRET}", None, True),
        (f"bearer {SECRET}", None, True),
        (f" BEARER   {SECRET} ", None, True),
        (None, SECRET, True),
        ("Basic dXNlcjpwYXNz", SECRET, True),
        (f"Bearer {SECRET}", OTHER, True),
        (f"Bearer {OTHER}", SECRET, False),
        (f"Basic {SECRET}", None, False),
        (SECRET, None, False),
        (f"Bearer{SECRET}", None, False),
        (f"Bearer {SECRET}x", None, False),
        (f"Bearer {SECRET[:-1]}", None, False),
        (f"Bearer {SECRET.upper()}", None, False),
        (f"Bearer {hashed(SECRET)}", None, False),
        (f"Bearer {hashed(SECRET).removeprefix('sha256:')}", None, False),
        ("Bearer \udcff\u00e9", None, False),
        ("Bearer ", "", False),
        ("", None, False),
        (None, None, False),
    ],
)
def test_find(authorization, api_key, known):
    found = load_keys(None, f"alice={SECRET}").find(authorization, api_key)
    assert (found is not None) == known


def test_every_key_is_compared_wherever_the_match_is(monkeypatch):
    keys = load_keys(None, ",".join(f"name{i}={SECRET}{i}" for i in range(5)))
    compared = []

    def compare_digest(left, right):
        compared.append(left)
        return left == right

    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    for presented in (f"{SECRET}0", f"{SECRET}4", OTHER):
        compared.clear()
        keys.find(f"Bearer {presented}")
        assert compared == [key.digest for key in keys.keys]


def test_repr_shows_neither_key_nor_hash():
    keys = load_keys(None, f"alice={SECRET}")
    for text in (repr(keys), str(keys), repr(keys.keys[0])):
        assert "alice" in text
        assert SECRET not in text
        assert "digest" not in text
        assert keys.keys[0].digest.hex() not in text
        assert repr(keys.keys[0].digest) not in text
    assert pickle.loads(pickle.dumps(keys)) == keys == Keys((Key("alice", hashlib.sha256(SECRET.encode()).digest()),))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"# keys\nalice {SECRET}\n", [":2:", "no plain keys", "`rrtf key NAME`"]),
        (f"{SECRET}\n", [":1:", "single field", "`rrtf key NAME`"]),
        (f"{SECRET} alice", [":1:", "no plain keys"]),
        (f"{SECRET}! {hashed(OTHER)}", [":1:", "29 characters", "letters"]),
        ("al/ice sha256:00", [":1:", "'al/ice'", "letters"]),
        ("alice sha256:abc123", [":1:", "64 hexadecimal digits", "6 characters"]),
        (f"alice sha256:{SECRET}", [":1:", "64 hexadecimal digits"]),
        (f"alice {hashed(OTHER)} rate=-1", [":1:", "'rate=-1'", "above 0", "rate=60"]),
        (f"alice {hashed(OTHER)} rate=nan", [":1:", "'rate=nan'"]),
        (f"alice {hashed(OTHER)} rate=", [":1:", "'rate='"]),
        (f"alice {hashed(OTHER)} concurrency=1.5", [":1:", "'concurrency=1.5'", "from 1"]),
        (f"alice {hashed(OTHER)} concurrency=0", [":1:", "'concurrency=0'"]),
        (f"alice {hashed(OTHER)} concurrency=²", [":1:", "'concurrency=²'"]),
        (f"alice {hashed(OTHER)} rte=60", [":1:", "'rte=60'", "rate=N"]),
        (f"alice {hashed(OTHER)} {SECRET}", [":1:", "28 characters", "rate=N"]),
        (f"alice {hashed(OTHER)} rate=1 rate=2", [":1:", "rate", "twice"]),
        (f"alice {hashed(OTHER)}\n\nalice {hashed(SECRET)}", [":3:", "'alice'", "keys.txt:1", "rename"]),
        (f"alice {hashed(SECRET)}\nbob {hashed(SECRET)}", [":2:", "same key", "keys.txt:1", "leave one"]),
    ],
)
def test_mistakes_in_a_file_name_place_and_remedy_and_no_secret(write, text, says):
    with pytest.raises(DataError) as caught:
        load_keys(write(text), None)
    for part in ["keys.txt", *says]:
        assert part in str(caught.value)
    for secret in (SECRET, hashed(SECRET), hashed(OTHER)):
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (f"alice={SECRET},bob=short", ["entry 2", "5 characters", "16 or more"]),
        ("tooshort", ["entry 1", "8 characters"]),
        (f"{SECRET}=", ["entry 1", "NAME=KEY"]),
        (f"{SECRET}==", ["entry 1", "NAME=KEY"]),
        (f"{SECRET}/x=y", ["entry 1", "NAME=KEY"]),
        ("alice=", ["entry 1", "NAME=KEY"]),
        (f"alice={hashed(SECRET)}", ["entry 1", "a hash", "key file"]),
        (f"alice={SECRET} {SECRET}", ["entry 1", "blanks"]),
        (f"alice={SECRET}é", ["entry 1", "ASCII"]),
        (f"alice={SECRET},alice={OTHER}", ["entry 2", "'alice'", "entry 1"]),
        (f"alice={SECRET},{SECRET}", ["entry 2", "same key", "entry 1"]),
        (f"{SECRET},key-1={OTHER}", ["entry 2", "'key-1'", "entry 1"]),
        ("", ["holds no key", "unset"]),
        (" , ", ["holds no key", "unset"]),
    ],
)
def test_mistakes_in_the_environment_name_the_entry_and_no_secret(value, says):
    with pytest.raises(InputError) as caught:
        load_keys(None, value)
    for part in ["RRTF_API_KEYS", *says]:
        assert part in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_name_in_both_places_is_refused(write):
    with pytest.raises(InputError, match=r"RRTF_API_KEYS, entry 1: the name 'alice' is also at .*keys\.txt:1;"):
        load_keys(write(f"alice {hashed(SECRET)}"), f"alice={OTHER}")


@pytest.mark.parametrize("text", ["", "\n# alice sha256:00\n"])
def test_a_file_without_keys_does_not_open_the_server(write, text):
    with pytest.raises(InputError, match=r"keys\.txt' holds no key"):
        load_keys(write(text), None)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.txt' does not exist.*rrtf key NAME"):
        load_keys(str(tmp_path / "nowhere.txt"), None)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_keys(str(tmp_path), None)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not text in UTF-8"):
        load_keys(str(tmp_path / "binary"), None)


def test_a_changed_key_file_is_read_again(tmp_path):
    path = tmp_path / "keys.txt"
    first, second = new_key("first"), new_key("second")
    path.write_text(first[1] + "\n")
    fixed = load_keys(None, "env=a-key-of-some-length")
    watched = KeyFile(str(path), fixed)
    keys = watched.changed()  # it may be another than when the service was deployed
    assert keys is not None
    assert {key.name for key in keys.keys} == {"first", "env"}
    assert watched.changed() is None
    path.write_text(second[1] + "\n" + first[1] + " rate=5\n")
    keys = watched.changed()
    assert keys is not None
    assert {key.name for key in keys.keys} == {"first", "second", "env"}
    assert keys.find(f"Bearer {second[0]}") is not None
    assert watched.changed() is None
    path.write_text("no key at all\n")
    with pytest.raises(DataError, match=r"keys.txt:1"):
        watched.changed()
    assert watched.changed() is None  # said once
    path.unlink()
    assert watched.changed() is None
    path.write_text(second[1] + "\n")
    keys = watched.changed()
    assert keys is not None
    assert keys.find(f"Bearer {first[0]}") is None
