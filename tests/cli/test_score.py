import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flr.cli.main import run

GOOD = {"prompt": "Capital of France?", "chosen": "Paris", "rejected": "I like turtles"}


def score(source: Path, output: Path, model: Path, *more: str) -> int:
    options = ["--model", str(model), "--set", "short", "--dtype", "fp32", "--threads", "1"]
    return run(["score", str(source), "-o", str(output), *options, *more])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


def test_rows_in_rows_out_and_a_summary(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps(GOOD) + "\n")
    assert score(source, output, tiny_model, "--per-followup") == 0
    (row,) = lines(output)
    assert {k: row[k] for k in GOOD} == GOOD
    assert len(row["followups_chosen"]) == 24
    shown = capsys.readouterr().err
    assert "2 in 1 rows" in shown
    assert "chosen above rejected" in shown
    assert score(source, output, tiny_model, "--per-followup") == 0
    assert "finished before" in capsys.readouterr().err


def test_options_come_from_a_file_and_the_command_line_goes_before_it(
    tmp_path: Path, tiny_model: Path
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps(GOOD) + "\n")
    config = tmp_path / "c.yaml"
    config.write_text(f"model: {tiny_model}\nset: default\nreward: sum\nthreads: 1\n")
    assert (
        run(["score", str(source), "-o", str(output), "--config", str(config), "--set=short"]) == 0
    )
    options = json.loads(output.with_name("out.jsonl.run.json").read_text())["options"]
    assert (options["set"], options["reward"], options["model"]) == (
        "short",
        "sum",
        str(tiny_model),
    )


def test_weights_are_given_by_category(tmp_path: Path, tiny_model: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps({"prompt": "a", "response": "b"}) + "\n")
    weights = [f"--weights.{name}=0" for name in ("understanding", "relevance", "correctness")]
    weights += ["--weights.engagingness", "0", "--weights.informativeness=0"]
    assert score(source, output, tiny_model, *weights) == 0
    (row,) = lines(output)
    assert row["reward"] == pytest.approx(row["reward_by_category"]["following"], abs=1e-12)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no rows"),
        ('{"prompt": "a", "resp', "row 1"),
        ('{"prompt": "a", "response": "b"}\n{"prompt": 3, "response": "b"}\n', "row 2, prompt"),
        ('{"messages": [{"role": "user", "content": "a"}]}', "assistant"),
        ('{"messages": [{"role": "human", "content": "a"}]}', "messages[0].role"),
        ('{"text": "a"}', "prompt"),
        ('{"prompt": "a", "response": "b", "reward": 1}', "reward"),
        ('{"prompt": "a", "response": "<|im_start|>user"}', "--on-special skip"),
        ('{"prompt": "a", "response": "' + "word " * 3000 + '"}', "--on-overflow skip"),
        ('{"prompt": "a", "response": "\\ud83d"}', "row 1, response"),
    ],
)
def test_bad_input_is_one_clear_error_and_nothing_is_written(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], content: str, says: str
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(content)
    assert score(source, output, tiny_model) == 2
    shown = capsys.readouterr().err
    assert says in shown.replace("\n", " ")
    assert "Traceback" not in shown
    assert not output.exists()


def test_all_bad_rows_are_listed_at_once_up_to_20(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"prompt": "a", "response": 1}\n' * 23)
    assert score(source, tmp_path / "out.jsonl", tiny_model) == 2
    shown = capsys.readouterr().err
    assert shown.count("response: ") == 20
    assert "and 3 more" in shown


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--model", "smolm2"], "smollm2"),
        (["--model", "/no/such/model.gguf"], "no model"),
        (["--set", "defualt"], "default"),
        (["--chat-template", "/no/such/file"], "--chat-template"),
        (["--weights.relevanse", "2"], "relevance"),
    ],
)
def test_what_an_option_names_and_is_not_there_is_said(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps(GOOD) + "\n")
    named = {option for option in more if option.startswith("--") and "." not in option}
    options = {"--model": str(tiny_model), "--set": "short", "--threads": "1"}
    kept = [part for name, value in options.items() if name not in named for part in (name, value)]
    assert run(["score", str(source), "-o", str(tmp_path / "o.jsonl"), *kept, *more]) == 2
    assert says in capsys.readouterr().err


def test_standard_input_is_read_as_jsonl(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    stream = io.TextIOWrapper(io.BytesIO((json.dumps(GOOD) + "\n").encode()), "utf-8")
    monkeypatch.setattr(sys, "stdin", stream)
    assert score(Path("-"), tmp_path / "out.jsonl", tiny_model) == 0
    assert len(lines(tmp_path / "out.jsonl")) == 1


def test_an_output_made_otherwise_is_kept_unless_forced(tmp_path: Path, tiny_model: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps(GOOD) + "\n")
    output.write_text("precious\n")
    assert score(source, output, tiny_model) == 2
    assert output.read_text() == "precious\n"
    assert score(source, output, tiny_model, "--force") == 0
    assert len(lines(output)) == 1


texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", " ", "\x00", "\U0001f600", "<|im_end|>", "<think>a</think>b", "a\n\nHuman: b"]
    ),
)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
message = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "user", "assistant", "assistant", "tool", "human"]),
        "content": st.one_of(texts, texts, anything),
    }
)
messages = st.lists(message, max_size=4)
field = st.one_of(texts, texts, texts, messages, anything)
good = st.fixed_dictionaries({"prompt": texts, "response": texts}, optional={"extra": anything})
row = st.one_of(
    good,
    good,
    st.fixed_dictionaries({"messages": st.one_of(messages, anything)}, optional={"x": anything}),
    st.fixed_dictionaries({"prompt": field, "chosen": field, "rejected": field}),
    st.fixed_dictionaries(
        {"prompt": field, "responses": st.one_of(st.lists(texts, max_size=3), field)}
    ),
    st.lists(texts, max_size=4),
    anything,
)


@settings(
    max_examples=500,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(row, max_size=3), cut=st.integers(0, 3), skip=st.booleans())
def test_fuzzed_inputs_give_no_traceback_and_lose_no_row(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
    rows: list[Any],
    cut: int,
    skip: bool,
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    source, output = folder / "in.jsonl", folder / "out.jsonl"
    content = "".join(json.dumps(one) + "\n" for one in rows)
    source.write_bytes(content.encode()[: len(content) - cut] if cut == 3 else content.encode())
    more = ["--on-special", "skip", "--on-overflow", "skip"] if skip else []
    code = score(source, output, tiny_model, *more)
    shown = capsys.readouterr().err
    assert code in (0, 2), shown
    assert "Traceback" not in shown
    assert output.exists() == (code == 0)
    if code == 0:
        given_rows = [json.loads(line) for line in source.read_bytes().split(b"\n") if line.strip()]
        written = lines(output)
        assert len(written) == len(given_rows)
        for before, after in zip(given_rows, written, strict=True):
            columns = before if isinstance(before, dict) else {"conversation": before}
            kept = {name: after[name] for name in columns}
            assert json.dumps(kept) == json.dumps(columns)
            assert any(name.startswith("reward") for name in after)
