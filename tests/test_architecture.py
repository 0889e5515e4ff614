"""The layers of the package, the rooms of its heavy libraries, and what stays light."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "flr"

LAYERS = {
    0: "errors types",
    1: "followups followups.* spans template chat template_report rewards resampling correlations "
    "stats messages rows prompts turns prompting responses diversity pairing labelling preferences "
    "preferences.formats preferences.reading preferences.llama_factory preferences.trainers "
    "preferences.checks mined.input verifiable verifiable.* feedback feedback.rows "
    "feedback.sentences feedback.topics feedback.rules feedback.wording calibration "
    "calibration.fitting calibration.choosing calibration.pruning calibration.learned",
    2: "files remote sources devices speed models engines engines.* reading writing hub io runs "
    "result_files tuned preferences.dataset_info datasets datasets.* generators generators.* "
    "loop_state feedback.template calibration.probability vllm_model on_ray",
    3: "measuring scoring options starting loading workers filling shards blocks score_record "
    "scored score_file merging doctor policies sampling sample_file noise_floor evaluation "
    "evaluation.* preferences.checking feedback.sources feedback.cleaning",
    4: "comparison comparison.* mined mined.rows mined.files mined.pairs mined.labels "
    "mined.figures mining training training.* feedback.building feedback.parting "
    "feedback.logs feedback.rewriting calibration.labelled calibration.learning "
    "calibration.measured calibrating",
    5: "explaining bench_record benching comparing loop loop_options integrations integrations.* "
    "report report.* serving serving.*",
    6: "demo cli cli.* __main__",
}
"""Words, pure functions, contact with the world, procedures, workflows, reports, doors."""

ROOMS = {
    "torch": "devices speed models loading starting workers engines.attention engines.head "
    "engines.hf engines.linear engines.sharing engines.classifier engines.divergence "
    "engines.llamacpp generators.hf training.trl integrations.openrlhf",
    "transformers": "models speed engines.* generators.hf loading starting policies training.trl "
    "training.watching",
    "huggingface_hub": "sources",
    "peft": "models training.trl",
    "trl": "training.trl",
    "pyarrow": "reading writing",
    "datasets": "hub training.trl",
    "scipy": "correlations calibration.fitting calibration.probability",
    "rich": "cli.* report.explain.terminal",
    "cyclopts": "cli.*",
    "jinja2": "template report.pages",
    "matplotlib": "report.svg",
    "fastapi": "serving.*",
    "pydantic": "serving.forms",
    "fsspec": "remote",
    "uvicorn": "cli.serve",
    "yaml": "followups followups.reading verifiable.reading feedback.template loop_state "
    "training.card integrations.settings demo cli.*",
}
"""The modules that may import a library; nothing else may."""

LATE = {
    ("io", "flr.hub"),
    ("models", "peft"),
    ("training.preference", "flr.training.trl"),
    ("training.run", "flr.training.trl"),
    ("training.tuning", "flr.training.trl"),
}
"""Imports inside a function, beside those of the doors: module, and what it imports there."""

HEAVY = {"torch", "transformers", "pyarrow", "datasets", "scipy", "matplotlib"}
"""What neither `import flr` nor `flr --help` may load."""


def _name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {_name(path): ast.parse(path.read_text("utf-8")) for path in SOURCE.rglob("*.py")}
MODULES = sorted(TREES.keys() - {""})
"""All modules of flr without its name; the package itself, which names them lazily, is ''."""

LAYER_OF = {
    module: layer
    for layer, names in LAYERS.items()
    for name in names.split()
    for module in MODULES
    if fnmatch(module, name)
}

each_module = pytest.mark.parametrize("module", MODULES)


def _targets(node: ast.AST) -> Iterator[str]:
    """The modules that a statement imports, in full (`flr.io`, `torch`)."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: a relative import; write the full name"
        for alias in node.names:
            below = f"{node.module}.{alias.name}"
            yield below if below.removeprefix("flr.") in TREES else str(node.module)


def _imports(tree: ast.AST) -> set[str]:
    return {target for node in ast.walk(tree) for target in _targets(node)}


def _own_imports(module: str) -> set[str]:
    """The modules of flr that a module imports, without `flr.`."""
    found = _imports(TREES[module])
    return {target.removeprefix("flr.") for target in found if target.startswith("flr.")}


def _is_in(module: str, rooms: str) -> bool:
    return any(fnmatch(module, room) for room in rooms.split())


@each_module
def test_every_module_has_a_layer(module: str):
    assert module in LAYER_OF, f"give flr.{module} a place in LAYERS of {Path(__file__).name}"


@each_module
def test_a_module_imports_from_its_own_or_lower_layers(module: str):
    layer = LAYER_OF.get(module, -1)
    above = {target for target in _own_imports(module) if LAYER_OF.get(target, 0) > layer}
    assert not above, f"flr.{module} (layer {layer}) imports from above: {sorted(above)}"


@each_module
def test_nothing_but_a_door_imports_a_door(module: str):
    doors = {target for target in _own_imports(module) if _is_in(target, "cli cli.* __main__")}
    assert not doors or _is_in(module, "cli.* __main__"), f"flr.{module} imports {sorted(doors)}"


@each_module
def test_heavy_libraries_stay_in_their_rooms(module: str):
    libraries = {target.partition(".")[0] for target in _imports(TREES[module])}
    strays = {name for name in libraries & ROOMS.keys() if not _is_in(module, ROOMS[name])}
    assert not strays, f"flr.{module} imports {sorted(strays)}; see ROOMS for who may"


@each_module
def test_imports_inside_functions_are_only_the_listed_ones(module: str):
    functions = [
        node
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    late = {(module, target) for function in functions for target in _imports(function)}
    assert _is_in(module, "cli.*") or late <= LATE, f"not in LATE: {sorted(late - LATE)}"


def test_no_import_cycle():
    graph = {module: _own_imports(module) for module in MODULES}
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError, which shows the cycle


def test_the_package_itself_names_its_parts_lazily():
    at_once = [node for node in TREES[""].body if not isinstance(node, ast.If)]
    assert not [
        target
        for node in at_once
        for target in _imports(node)
        if target.partition(".")[0] not in sys.stdlib_module_names
    ]


@pytest.mark.parametrize(
    "code",
    ["import flr", "from flr.cli.main import main; main(['--help'])"],
    ids=["import flr", "flr --help"],
)
def test_what_is_light_stays_light(code: str):
    script = f"""
import json, sys
try:
    {code}
except SystemExit as end:
    assert not end.code
print(json.dumps(list(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(json.loads(run.stdout.splitlines()[-1]))
    assert "flr" in loaded
    assert not loaded & HEAVY
