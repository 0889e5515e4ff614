"""`flr tune`: what it prints, and its exit codes."""

from pathlib import Path

import pytest

from flr.cli.main import run
from tests.training.small import put
from tests.training.test_tuning import rows


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def words(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_it_tells_what_was_learned_and_what_to_type_next(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
):
    source = put(tmp_path / "f.jsonl", rows("role-switched"))
    held_out = put(tmp_path / "h.jsonl", rows("role-switched", 24, 5))
    fast = ["--dtype", "fp32", "--threads", "1", "--batch-size", "4", "--epochs", "1"]
    given = ["tune", source, "-o", str(tmp_path / "m"), "--model", str(tiny_model), *fast]
    given += ["--held-out", held_out]
    assert run(given) == 0
    shown = words(capsys)
    assert "role-switched, all weights, learning rate 2e-05: 6 steps over 24 rows" in shown
    assert "5 held-out rows, mean loss of a row" in shown
    assert f"flr bench PAIRS --model {tmp_path / 'm'} -o bench" in shown
    assert run(given) == 0
    assert "nothing to do, it was finished before" in words(capsys)
    assert "no likelier" not in shown
    assert run([*given, "--learning-rate", "1e-12", "--force"]) == 0
    assert "warning: held-out feedback has become no likelier" in words(capsys)
    assert run([*given, "--patience", "2"]) == 2
    assert "patience 3, now 2" in words(capsys)


def test_mistakes_are_the_users(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
):
    pairs = put(tmp_path / "p.jsonl", [{"prompt": "a", "chosen": "b", "rejected": "c"}])
    assert run(["tune", pairs, "-o", str(tmp_path / "m"), "--model", str(tiny_model)]) == 2
    assert "row 1, completion: missing; rows of `flr feedback build`" in words(capsys)
    assert not (tmp_path / "m").exists()
    assert run(["tune", str(tmp_path / "none.jsonl"), "-o", str(tmp_path / "m")]) == 2
    assert run(["tune", pairs]) == 2
    assert "flr tune needs --output" in words(capsys)
