from rrtf_ray.store.files import write_bytes
from rrtf_ray.store.models import local_folder


def test_a_folder_is_absolute_and_a_hub_id_stays(tmp_path, monkeypatch):
    (tmp_path / "runs" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert local_folder("runs/model") == str(tmp_path / "runs" / "model")
    assert local_folder(str(tmp_path / "runs")) == str(tmp_path / "runs")
    assert local_folder("bigcode/starcoder2-3b") == "bigcode/starcoder2-3b"


def test_a_folder_below_home_is_found(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_folder("~/model") == str(tmp_path / "model")


def test_a_uri_is_copied_to_this_machine(tmp_path):
    write_bytes("memory://local-folder/config.json", b"{}")
    (copied,) = {local_folder("memory://local-folder") for _ in range(2)}
    with open(f"{copied}/config.json") as file:
        assert file.read() == "{}"
    assert local_folder(f"file://{tmp_path}") == str(tmp_path)
