"""The walls of the house: training -> models <- service, and no torch behind the service."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [
    path for folder in ("models", "training", "service") for path in ROOT.glob(f"{folder}/**/*.py")
]
# In models/ an import leads down this list.
LEVELS = [
    "arrays", "lazy", "normalization", "vocabulary", "lines", "roster", "transitions", "counts",
    "flow", "weighting", "classes", "suffixes", "places", "features", "layout", "linear", "ties",
    "objective", "fitting", "selection", "wish", "automaton", "composition", "pattern", "exclusion",
    "novelty", "chain", "numbering", "product", "backward", "conditioning", "course", "lengths",
    "bigrams", "support", "likeliest", "sampling", "distinct", "continuations", "likelihoods",
    "percentiles", "population", "scoring", "explaining", "repairs", "checkpoint", "list_size",
]  # fmt: skip
WORLD = {  # what reaches out of a process: files, network, clock, environment
    "asyncio", "datetime", "fastapi", "glob", "gzip", "http", "io", "logging", "os", "pathlib",
    "random", "shutil", "socket", "starlette", "subprocess", "sys", "tempfile", "time", "urllib",
    "uvicorn",
}  # fmt: skip


def imports(path: Path) -> set[str]:
    """The modules a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_packages_import_models_and_never_each_other(path: Path) -> None:
    forbidden = {
        "models": {"training", "service"},
        "training": {"service"},
        "service": {"training"},
    }
    assert not roots(path) & forbidden[path.relative_to(ROOT).parts[0]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_only_the_modules_of_the_fit_import_torch(path: Path) -> None:
    fitting = {ROOT / "models" / name for name in ("objective.py", "fitting.py")}
    assert ("torch" in roots(path)) == (path in fitting)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_only_the_tables_module_imports_pyarrow(path: Path) -> None:
    assert ("pyarrow" in roots(path)) == (path == ROOT / "training" / "tables.py")


@pytest.mark.parametrize("path", sorted(ROOT.glob("models/*.py")), ids=lambda path: path.name)
def test_models_do_not_reach_into_the_world(path: Path) -> None:
    assert not roots(path) & WORLD
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.Call)]  # fmt: skip
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    assert not names & {"open", "print", "input"}


@pytest.mark.parametrize("level", LEVELS)
def test_imports_within_models_lead_downwards(level: str) -> None:
    within = {
        name for name in imports(ROOT / "models" / f"{level}.py") if name.startswith("models.")
    }
    assert within <= {f"models.{lower}" for lower in LEVELS[: LEVELS.index(level)]}


def test_the_levels_are_all_the_modules_there_are() -> None:
    modules = {path.stem for path in ROOT.glob("models/*.py")}
    assert modules == {*LEVELS, "__init__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_only_the_plots_module_imports_matplotlib(path: Path) -> None:
    assert ("matplotlib" in roots(path)) == (path == ROOT / "training" / "plots.py")


def test_the_service_loads_nothing_that_only_training_requires() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = project["optional-dependencies"]["training"]
    heavy = {requirement.partition(">")[0] for requirement in required}
    assert "torch" in heavy
    program = f"import service.__main__, sys; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
