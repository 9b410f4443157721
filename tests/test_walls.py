"""The walls of the house: which room may import which, and how large a room and its files are."""

import ast
import pkgutil
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = ("models", "training", "service")
FILES = [path for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.py"))]
# The rooms of each package, from the highest to the lowest: imports lead down the list. A room is
# a folder or, directly in the package, a file.
ROOMS = {
    "models": [
        "models.checkpoint", "models.provenance", "models.scoring", "models.queries",
        "models.chain", "models.constraints", "models.fitting", "models.linear", "models.counts",
        "models.text", "models.errors", "models.arrays", "models.lazy_property",
    ],
    "training": [
        "training.__main__", "training.dataset", "training.evaluation", "training.up_to_date",
        "training.train", "training.counts", "training.lists", "training.console", "training.cli",
        "training.progress", "training.stopwatch", "training.atomic_files",
    ],
    "service": [
        "service.__main__", "service.healthcheck", "service.server", "service.app",
        "service.endpoints", "service.api", "service.middleware", "service.streaming",
        "service.catalog", "service.load", "service.web", "service.problems", "service.telemetry",
        "service.http", "service.errors", "service.lifecycle", "service.shared_folder",
        "service.settings",
    ],
}  # fmt: skip
MOST_FILES = 9  # in a folder, besides `__init__.py`
MOST_LINES = 250  # of a file
WORLD = {  # what reaches out of a process: files, network, clock, environment
    "asyncio", "datetime", "fastapi", "glob", "gzip", "http", "io", "logging", "os", "pathlib",
    "random", "shutil", "socket", "starlette", "subprocess", "sys", "tempfile", "time", "urllib",
    "uvicorn",
}  # fmt: skip


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> set[str]:
    """The modules a file imports, also inside functions; `from x import y` may import `x.y`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def room(path: Path) -> str:
    """`models/text/vocabulary.py` -> `models.text`, `service/app.py` -> `service.app`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts[:2])


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_packages_import_models_and_never_each_other(path: Path) -> None:
    forbidden = {
        "models": {"training", "service"},
        "training": {"service"},
        "service": {"training"},
    }
    assert not roots(path) & forbidden[path.relative_to(ROOT).parts[0]]


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_a_room_imports_lower_rooms_only(path: Path) -> None:
    rooms = ROOMS[path.relative_to(ROOT).parts[0]]
    if path.name == "__init__.py" and room(path) not in rooms:
        assert not any(name.startswith(PACKAGES) for name in imports(path))
        return
    higher = rooms[: rooms.index(room(path))]
    assert not {one for one in higher for name in imports(path) if f"{name}.".startswith(f"{one}.")}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_rooms_are_all_that_there_are(package: str) -> None:
    found = {room(path) for path in FILES if path.relative_to(ROOT).parts[0] == package}
    assert found - {f"{package}.__init__"} == {*ROOMS[package]}


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_only_the_room_of_the_fit_imports_torch(path: Path) -> None:
    assert "torch" not in roots(path) or path.parent == ROOT / "models" / "fitting"


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_only_the_counts_table_imports_pyarrow(path: Path) -> None:
    assert ("pyarrow" in roots(path)) == (path == ROOT / "training" / "counts" / "counts_table.py")


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_only_the_plots_module_imports_matplotlib(path: Path) -> None:
    plots = ROOT / "training" / "evaluation" / "plots.py"
    assert ("matplotlib" in roots(path)) == (path == plots)


@pytest.mark.parametrize("path", sorted((ROOT / "models").rglob("*.py")), ids=shown)
def test_models_do_not_reach_into_the_world(path: Path) -> None:
    assert not roots(path) & WORLD
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.Call)]  # fmt: skip
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    assert not names & {"open", "print", "input"}


def test_the_service_loads_nothing_that_only_training_requires() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = project["optional-dependencies"]["training"]
    heavy = {requirement.partition(">")[0] for requirement in required}
    assert "torch" in heavy
    program = f"import service.__main__, sys; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def folders() -> Iterator[tuple[Path, list[str]]]:
    """The folders of code and their files, without those that only mark a package."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.js", "*.css", "*.html"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = [ROOT / line for line in listed.stdout.splitlines()]
    for folder in sorted({file.parent for file in files}):
        here = [file.name for file in files if file.parent == folder]
        yield folder, [name for name in here if name != "__init__.py"]


def test_a_folder_has_few_files() -> None:
    assert not [folder for folder, files in folders() if len(files) > MOST_FILES]


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_are_short(package: str) -> None:
    sizes = [
        (node.end_lineno or 0) - node.lineno + 1
        for path in FILES
        if path.relative_to(ROOT).parts[0] == package
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert statistics.median(sizes) <= 10
    assert statistics.quantiles(sizes, n=10)[-1] <= 30


def test_the_targets_that_tests_replace_by_name_exist() -> None:
    targets = {
        str(node.args[0].value)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr == "setattr" and node.args and isinstance(node.args[0], ast.Constant)
    }
    assert targets
    for target in sorted(targets):
        module, _, attribute = target.rpartition(".")
        assert hasattr(pkgutil.resolve_name(module), attribute), target
