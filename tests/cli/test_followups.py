"""The verbs of `flr followups`, called as the main door calls them."""

from pathlib import Path

import pytest

from flr import followups
from flr.cli.followups import app
from flr.errors import CheckFailed, FollowUpError, OutputError

SOURCE = (
    "fit_pos = ['Yes [red]hi[/red] :smile:!', \"It's fine.\"]\nfit_neg = ['No.', 'It’s bad.']\n"
)


def call(*words: str | Path) -> None:
    app([str(word) for word in words], result_action="return_value")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "utils.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def test_list_names_every_set(capsys):
    call("list")
    printed = capsys.readouterr().out
    assert all(name in printed for name in followups.available())
    assert "60 + 60" in printed
    assert "12 + 12" in printed


def test_show_prints_every_text(capsys):
    call("show", "short")
    printed = capsys.readouterr().out.splitlines()
    short = followups.load("short")
    expected = [f"  {'+' if f.polarity > 0 else '-'} {f.text}" for f in short.followups]
    assert [line for line in printed if line.startswith("  ")] == expected
    assert [line for line in printed if line in short.categories] == list(short.categories)


def test_show_prints_markup_as_it_is_and_control_characters_as_escapes(tmp_path, capsys):
    path = tmp_path / "set.yaml"
    path.write_text(
        "name: n\nlanguage: en\ncategories:\n  '[b]fit[/b]':\n    weight: 2.5\n"
        f"    positive: ['[red]x[/red] :smile: {'long ' * 60}end']\n"
        '    negative: ["\\e[2Jcleared\\0\\n"]\n'
    )
    call("show", path)
    printed = capsys.readouterr().out
    assert f"  + [red]x[/red] :smile: {'long ' * 60}end\n" in printed
    assert "  - \\x1b[2Jcleared\\x00\\n\n" in printed
    assert "[b]fit[/b] (weight 2.5)\n" in printed
    assert "\x1b" not in printed


def test_show_tells_the_weight_of_a_text(tmp_path, capsys):
    path = tmp_path / "set.yaml"
    path.write_text(
        "name: n\nlanguage: en\ncategories:\n  fit:\n"
        "    positive: [{text: 'Yes.', weight: 0.25}]\n    negative: ['No.']\n"
    )
    call("show", path)
    assert "  + Yes. (weight 0.25)\n  - No.\n" in capsys.readouterr().out


def test_check_passes_a_good_set(capsys):
    call("check", "default")
    assert capsys.readouterr().out == "default: no problems, 120 texts (60 + 60).\n"


def test_check_prints_each_problem_and_says_no(tmp_path, capsys):
    path = tmp_path / "set.yaml"
    path.write_text("name: n\nlanguage: en\ncategories:\n  a: {positive: [' x', no]}\n")
    with pytest.raises(CheckFailed, match="3 problems"):
        call("check", path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{path}: line 4: a, ") for line in lines)


def test_check_of_what_cannot_be_read_is_a_user_error(tmp_path):
    with pytest.raises(FollowUpError, match="no follow-up set and no file"):
        call("check", tmp_path / "none.yaml")


def test_import_writes_a_set_that_loads(published, tmp_path, capsys):
    output = tmp_path / "new.yaml"
    call("import", published, "-o", output, "--name", "theirs")
    assert followups.load(output) == followups.import_published(published, "theirs")
    assert "4 texts (2 + 2); to see 1 oddities" in capsys.readouterr().out


def test_import_prints_without_an_output(published, capsys):
    call("import", published)
    assert capsys.readouterr().out == followups.to_yaml(followups.import_published(published))


def test_import_refuses_to_replace_something_else(published, tmp_path):
    output = tmp_path / "new.yaml"
    output.write_text("precious")
    with pytest.raises(OutputError, match="--force"):
        call("import", published, "--output", output)
    assert output.read_text() == "precious"
    call("import", published, "--output", output, "--force")
    call("import", published, "--output", output)  # the same again is no conflict
    assert followups.load(output).name == "published"


def test_import_to_a_place_that_cannot_be_written(published, tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        call("import", published, "-o", tmp_path / "missing" / "new.yaml")
    with pytest.raises(OutputError, match="cannot be written"):
        call("import", published, "-o", tmp_path, "--force")


def test_import_of_something_else_is_a_user_error(tmp_path):
    path = tmp_path / "other.py"
    path.write_text("x = 1\n")
    with pytest.raises(FollowUpError, match="no lists named"):
        call("import", path)
