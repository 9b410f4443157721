"""The README and docs/ are tested: examples run as written, references and tables are complete."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser
from prometheus_client.parser import text_string_to_metric_families

from models.chain.markov_chain import compile_chain
from models.counts.context_counts import ContextCounts
from models.fitting.fit_result import FitResult
from models.linear.model import LinearModel
from models.scoring.likelihoods import nll
from service.settings import PREFIX, Settings
from tests.support.http.browser import Visits
from tests.support.http.server import Server
from tests.support.paths import ROOT
from tests.test_walls import FILES, ROOMS

ADDRESS = "http://localhost:8000"  # of the service in the examples
NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?")
MAX_README_LINES = 190
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "data" / "README.md", *sorted(ROOT.glob("docs/*.md"))]
DOCS = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("docs/*.md")}
API, OPERATIONS, ARCHITECTURE = DOCS["api.md"], DOCS["operations.md"], DOCS["architecture.md"]
EXAMPLES = re.findall(
    r"\$ (.*curl .*)\n((?:(?!\$ |```).*\n)*)", README + "".join(DOCS[name] for name in sorted(DOCS))
)


def parts(output: str) -> tuple[str, list[float]]:
    """The text of an output without digests of checkpoints, and the numbers in it."""
    text = re.sub(r'"checkpoint":"\w+"', "", output.rstrip("\n"))
    return NUMBER.sub("#", text), [*map(float, NUMBER.findall(text))]


def code(language: str) -> str:
    """The one example of the README in a language."""
    (example,) = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert ADDRESS in example
    return str(example)


def table_rows(page: str) -> dict[str, list[str]]:
    """The rows of all tables of a page, without the first cell, by each `code` in that cell."""
    rows: dict[str, list[str]] = {}
    for first, rest in re.findall(r"^\| (.*?) \| (.*) \|$", page, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", first):
            rows.setdefault(name, []).append(rest)
    return rows


def anchors(page: str) -> set[str]:
    """The anchors of the headings of a page, as GitHub derives them."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", page):
        target, _, anchor = link.partition("#")
        if not target.startswith(("http://", "https://")):
            linked = path.parent / target if target else path
            assert linked.is_file(), link
            assert not anchor or anchor in anchors(linked.read_text(encoding="utf-8")), link


@pytest.mark.parametrize(("command", "shown"), EXAMPLES, ids=[c for c, _ in EXAMPLES])
def test_an_example_prints_what_is_shown(server: Server, command: str, shown: str) -> None:
    command = command.replace(ADDRESS, server.url).replace("curl", "curl -sS")
    command = f"set -o pipefail; {command}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    (text, numbers), (shown_text, shown_numbers) = parts(ran.stdout), parts(shown)
    assert text == shown_text
    assert numbers == pytest.approx(shown_numbers, rel=1e-3)


def test_the_python_example_prints_names(server: Server) -> None:
    program = code("python").replace(ADDRESS, server.url)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "['teyan', 'thavin', 'ciamir']\n"


def test_the_javascript_example_logs_percentiles(browser: Browser, server: Server) -> None:
    logged: list[str] = []
    with Visits(browser, server.url) as visits:
        page = visits()
        page.on("console", lambda message: logged.append(message.text))
        page.evaluate(f"async () => {{ {code('js').replace(ADDRESS, server.url)} }}")
    assert [line.split()[0] for line in logged] == ["Maria", "iaamr"]
    assert [float(line.split()[1]) for line in logged] == pytest.approx([1.0, 0.033], abs=1e-3)


def test_there_are_examples_of_both_endpoints_in_the_readme() -> None:
    commands = " ".join(re.findall(r"^\$ (.*)", README, re.MULTILINE))
    assert "/sample" in commands
    assert "/score" in commands


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= MAX_README_LINES


def test_every_endpoint_is_documented(client: httpx.Client) -> None:
    for path in client.get("/openapi.json").json()["paths"]:
        assert f"`{path}`" in API, path


def test_every_field_of_a_request_is_documented_with_its_default(client: httpx.Client) -> None:
    rows = table_rows(API)
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for parameter in operations["get"].get("parameters", []):
            if parameter["in"] == "query":
                name, default = parameter["name"], parameter["schema"].get("default")
                assert name in rows, (path, name)
                if isinstance(default, int | float):
                    assert any(row.startswith(f"{json.dumps(default)} |") for row in rows[name])


def test_every_field_of_a_response_is_documented(client: httpx.Client) -> None:
    schemas: dict[str, Any] = client.get("/openapi.json").json()["components"]["schemas"]
    rows = table_rows(API) | table_rows(DOCS["scoring.md"])
    prose = re.findall(r"`(\w+)`", API + DOCS["scoring.md"])
    for schema, described in schemas.items():
        for field in described.get("properties", {}):
            assert field in rows or field in prose, (schema, field)


def test_every_setting_is_documented_with_its_default() -> None:
    for name, field in Settings.model_fields.items():
        shown = "none" if field.default in (None, ()) else str(field.default)
        assert f"| `{PREFIX}{name.upper()}` | {shown} |" in OPERATIONS, name
    documented = re.findall(rf"^\| `{PREFIX}(\w+)` \|", OPERATIONS, re.MULTILINE)
    assert {name.lower() for name in documented} == Settings.model_fields.keys()


def test_every_metric_is_documented_with_its_labels(client: httpx.Client) -> None:
    exported = set()
    for family in text_string_to_metric_families(client.get("/metrics").text):
        if family.name.startswith("moniker_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            exported.add(name)
            row = re.search(rf"^\| `{name}` \| (.*?) \|", OPERATIONS, re.MULTILINE)
            assert row, name
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            assert labels <= {*re.findall(r"`(\w+)`", row[1])}
    documented = re.findall(r"^\| `(moniker_\w+)` \|", OPERATIONS, re.MULTILINE)
    assert {*documented} == exported


def tree() -> list[str]:
    """The paths in the tree of rooms, in its order; folders end with a slash."""
    paths, folder = [], ""
    block = ARCHITECTURE.partition("## Rooms")[2].split("```")[1]
    for indent, name in re.findall(r"^( *)(\S+)  +\S", block, re.MULTILINE):
        folder = folder if indent else name
        paths.append(folder + name if indent else name)
    return paths


def test_the_tree_names_only_what_exists() -> None:
    for path in tree():
        assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file(), path


def test_every_folder_of_code_has_a_line_in_the_tree() -> None:
    patterns = ["*.py", "*.js", "*.css", "*.html"]
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    folders = {Path(*Path(file).parts[:-1][:2]) for file in listed.stdout.splitlines()}
    assert folders <= {Path(path) for path in tree() if path.endswith("/")}


@pytest.mark.parametrize("package", ROOMS)
def test_the_tree_has_the_rooms_in_the_order_of_their_imports(package: str) -> None:
    rooms = [path for path in tree() if path.startswith(f"{package}/")][1:]
    assert [re.sub(r"/$|\.py$", "", room).replace("/", ".") for room in rooms] == ROOMS[package]
    files = {str(path.relative_to(ROOT)) for path in FILES if path.parent == ROOT / package}
    assert files - {f"{package}/__init__.py"} == {room for room in rooms if room.endswith(".py")}


def test_the_results_are_those_of_the_posts_list(
    post_counts: ContextCounts, post_fits: dict[str, FitResult], post_models: dict[str, LinearModel]
) -> None:
    for name, model in post_models.items():
        row = re.search(rf"^\| `{name}` \|.*$", README, re.MULTILINE)
        assert row, name
        parameters, loss, likelihood = (cell.strip() for cell in row[0].split("|")[3:6])
        assert parameters == f"{model.weights.size:,}"
        assert float(loss) == pytest.approx(post_fits[name].losses[-1], abs=1e-6)
        assert float(likelihood) == pytest.approx(nll(compile_chain(model), post_counts), abs=1e-6)
