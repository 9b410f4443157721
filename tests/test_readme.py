"""The README and docs/ are tested: examples run as written, tables and tree are complete."""

import re
import subprocess

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.chain.markov_chain import compile_chain
from models.counts.context_counts import ContextCounts
from models.fitting.recipes import FitResult
from models.linear.model import LinearModel
from models.scoring.likelihoods import nll
from service.settings import PREFIX, Settings
from tests.support.http.server import Server
from tests.support.paths import ROOT

NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = README + "".join(page.read_text(encoding="utf-8") for page in ROOT.glob("docs/*.md"))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"\$ (.*curl .*)\n((?:(?!\$ |```).*\n)*)", PAGES)


def parts(output: str) -> tuple[str, list[float]]:
    """The text of an output but for the digest of a training, and the numbers in it."""
    text = re.sub(r'"checkpoint":"\w+"', "", output.rstrip("\n"))
    return NUMBER.sub("#", text), [*map(float, NUMBER.findall(text))]


@pytest.mark.parametrize(("command", "shown"), EXAMPLES, ids=[c for c, _ in EXAMPLES])
def test_an_example_prints_what_is_shown(server: Server, command: str, shown: str) -> None:
    command = command.replace("http://localhost:8000", server.url).replace("curl", "curl -sS")
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    (text, numbers), (shown_text, shown_numbers) = parts(ran.stdout), parts(shown)
    assert text == shown_text
    assert numbers == pytest.approx(shown_numbers, rel=1e-3)


def test_there_are_examples_of_both_paths() -> None:
    commands = " ".join(command for command, _ in EXAMPLES)
    assert "/sample" in commands
    assert "/score" in commands


def test_every_path_is_in_the_readme(client: httpx.Client) -> None:
    for path in client.get("/openapi.json").json()["paths"]:
        assert f"`{path}`" in README, path


def test_every_setting_is_documented_with_its_default() -> None:
    for name, field in Settings.model_fields.items():
        shown = "none" if field.default in (None, ()) else str(field.default)
        assert f"| `{PREFIX}{name.upper()}` | {shown} |" in OPERATIONS, name
    documented = re.findall(rf"^\| `{PREFIX}(\w+)` \|", OPERATIONS, re.MULTILINE)
    assert {name.lower() for name in documented} == Settings.model_fields.keys()


def test_every_metric_is_documented_with_its_labels(client: httpx.Client) -> None:
    told = set()
    for family in text_string_to_metric_families(client.get("/metrics").text):
        if family.name.startswith("moniker_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            told.add(name)
            row = re.search(rf"^\| `{name}` \| (.*?) \|", OPERATIONS, re.MULTILINE)
            assert row, name
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            assert labels <= {*re.findall(r"`(\w+)`", row[1])}
    documented = re.findall(r"^\| `(moniker_\w+)` \|", OPERATIONS, re.MULTILINE)
    assert {*documented} == told


def test_the_tree_has_a_line_for_every_file() -> None:
    tree = README.partition("## Layout")[2]
    told, folder = set(), ""
    for line in re.findall(r"^( *\S+)  +\S", tree, re.MULTILINE):
        if line.endswith("/"):
            folder = line
        else:
            told.add(folder + line.strip() if line.startswith(" ") else line)
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = set(listed.stdout.split()) - {".gitignore", ".dockerignore"}
    files = {file for file in files if not file.endswith("__init__.py")}
    tests_of_modules = {f"tests/test_{path.stem}.py" for path in ROOT.glob("models/*.py")}
    tests_of_modules.add("tests/test_training.py")
    assert told == files - tests_of_modules | {"tests/test_<module>.py"}


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
