"""Fixtures of all tests: the counts of the post, fitted models, a service and a browser."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import httpx
import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings
from playwright.sync_api import Browser, expect

from models.chain.markov_chain import MarkovChain, compile_chain
from models.counts.context_counts import ContextCounts, count
from models.counts.transitions import Contexts, Transitions, transitions
from models.fitting.fit_result import FitResult
from models.fitting.recipes import CONVERGED, POST
from models.linear.feature_map import FeatureMap
from models.linear.features import POSITIONS
from models.linear.model import LinearModel
from models.text.vocabulary import Vocabulary
from tests.support.http.browser import Visits, chromium
from tests.support.http.server import PATIENCE, Server
from tests.support.oracle import Layer
from tests.support.post import ALPHABET, OF_THE_POST
from training.__main__ import main as train
from training.cli import EMBEDDED_LIST


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the folder of the screenshots in the README."""
    parser.addoption(
        "--screenshots",
        metavar="FOLDER",
        help="write the screenshots of the page to this folder, as docs",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the modules that need trained checkpoints last.

    One worker trains while the others run the tests that do not wait for it.
    """
    trained = {item.path for item in items if "evaluated_run" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path in trained)


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of cores plus one, because tests often wait for a service."""
    return len(os.sched_getaffinity(0)) + 1


# No deadline, because the machine may be busy. `make test-all` uses the profile thorough.
settings.register_profile("moniker", deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.load_profile("moniker")
expect.set_options(timeout=PATIENCE * 1000)  # milliseconds

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def names_txt() -> Path:
    """The list of the post, which is not part of this project."""
    path = Path(os.environ.get("NAMES_TXT", "names.txt"))
    if not path.exists():
        pytest.skip("set NAMES_TXT to the path of names.txt to run this test")
    return path


@pytest.fixture(scope="session")
def post_counts() -> ContextCounts:
    """The transition counts of the list of the post, from the committed table."""
    tokens = "." + ALPHABET.characters
    with (HERE / "names_txt_counts.csv").open(encoding="utf-8") as file:
        rows = [
            (int(row["position"]), tokens.index(row["previous"]), tokens.index(row["next"]),
             int(row["count"]))
            for row in csv.DictReader(file)
        ]  # fmt: skip
    table = np.array(rows, dtype=np.intp)
    contexts = Contexts(table[:, 0], table[:, 1:2])
    return ContextCounts(Transitions(contexts, table[:, 2]), table[:, 3])


def feature_map(name: str, counts: ContextCounts, vocabulary: Vocabulary = ALPHABET) -> FeatureMap:
    """Return the feature map of an architecture with the positions of the post."""
    return FeatureMap.from_counts(name, len(vocabulary), POSITIONS, counts)


@pytest.fixture(scope="session")
def post_fits(post_counts: ContextCounts) -> dict[str, FitResult]:
    """The architectures of the post, fitted with its recipe to its list."""
    return {name: POST.fit(post_counts, feature_map(name, post_counts)) for name in OF_THE_POST}


@pytest.fixture(scope="session")
def post_models(
    post_counts: ContextCounts, post_fits: dict[str, FitResult]
) -> dict[str, LinearModel]:
    """The models of the post, by architecture."""
    return {
        name: LinearModel(feature_map(name, post_counts), ALPHABET, fitted.weights)
        for name, fitted in post_fits.items()
    }


@pytest.fixture(
    scope="session",
    params=["bigram", "positional", pytest.param("sinusoidal", marks=pytest.mark.slow)],
)
def post_model(request: pytest.FixtureRequest, post_models: dict[str, LinearModel]) -> LinearModel:
    """Each model of the post in turn."""
    return post_models[request.param]


@pytest.fixture(scope="session")
def post_layer(post_model: LinearModel) -> Layer:
    """The oracle of `post_model`."""
    return Layer(
        post_model.feature_map.architecture, ALPHABET.characters, POSITIONS, post_model.weights
    )


@pytest.fixture(scope="session")
def post_chain(post_model: LinearModel) -> MarkovChain:
    """The chain of `post_model`."""
    return compile_chain(post_model)


@pytest.fixture(scope="session")
def us_names() -> list[str]:
    """The names of the embedded list."""
    return EMBEDDED_LIST.read_text(encoding="utf-8").split()


@pytest.fixture(scope="session")
def fivegram(us_names: list[str]) -> LinearModel:
    """A fivegram fitted to the embedded list with few steps."""
    counts = count(transitions(ALPHABET.encode(us_names), order=4, positions=POSITIONS))
    known = feature_map("fivegram", counts)
    return LinearModel(known, ALPHABET, replace(CONVERGED, steps=15).fit(counts, known).weights)


@pytest.fixture(scope="session")
def fivegram_layer(fivegram: LinearModel, us_names: list[str]) -> Layer:
    """The oracle of `fivegram`."""
    return Layer("fivegram", ALPHABET.characters, POSITIONS, fivegram.weights, us_names)


SMALL_LIST = ["ab", "abc", "cabba", "bacab", "aaa"]  # training names of the small models


@pytest.fixture(scope="session", params=["positional", "fivegram"])
def small_model(request: pytest.FixtureRequest) -> LinearModel:
    """A model of three letters and three positions with random weights."""
    letters = Vocabulary("abc")
    counts = count(transitions(letters.encode(SMALL_LIST), order=4, positions=3))
    known = FeatureMap.from_counts(request.param, len(letters), 3, counts)
    weights = np.random.default_rng(5).normal(size=known.shape).astype(np.float32)
    return LinearModel(known, letters, weights)


@pytest.fixture(scope="session")
def small_layer(small_model: LinearModel) -> Layer:
    """The oracle of `small_model`."""
    return Layer(small_model.feature_map.architecture, "abc", 3, small_model.weights, SMALL_LIST)


Once: TypeAlias = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Once:
    """A function that creates a folder shared by all workers; the first worker fills it."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def make_once(name: str, fill: Callable[[Path], object]) -> Path:
        folder, filled = shared / name, shared / f"{name}.filled"
        with FileLock(shared / f"{name}.lock"):
            if not filled.exists():
                folder.mkdir()
                try:
                    fill(folder)
                except BaseException:  # remove it, so that the next worker fails with the cause too
                    shutil.rmtree(folder)
                    raise
                filled.touch()
        return folder

    return make_once


@pytest.fixture(scope="session")
def evaluated_run(once: Once) -> Path:
    """A folder with all models trained and evaluated on the embedded list.

    The job runs without a home directory and a terminal. The folder contains `checkpoints`, and
    the output of the job in `out` and `err`.
    """

    def run(folder: Path) -> None:
        command = [sys.executable, "-W", "error", "-m", "training", "--evaluate"]
        command += ["--out", str(folder / "checkpoints")]
        environment = {"PATH": os.environ["PATH"], "HOME": "/proc/nonexistent"}
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            subprocess.run(command, env=environment, stdout=out, stderr=err, check=True)

    return once("evaluated", run)


@pytest.fixture(scope="session")
def checkpoints(evaluated_run: Path) -> Path:
    """The checkpoints of `evaluated_run`, with the report."""
    return evaluated_run / "checkpoints"


@pytest.fixture(scope="session")
def small_checkpoints(once: Once, us_names: list[str]) -> Path:
    """A folder with the models of the post fitted to a short list, which load quickly."""

    def fill(folder: Path) -> None:
        (folder / "names.txt").write_text("\n".join(us_names[:300]))
        arguments = ["--data", str(folder / "names.txt"), "--models", ",".join(OF_THE_POST)]
        with pytest.MonkeyPatch.context() as patch:
            # Coarse percentiles are computed faster.
            patch.setattr("models.scoring.percentile_estimation.MIN_PREFIXES", 500)
            assert train([*arguments, "--out", str(folder)]) == 0

    return once("small", fill)


@pytest.fixture(scope="session")
def one_model(once: Once) -> Path:
    """A folder with only the default model, which loads quickly."""
    return once("one_model", lambda f: train(["--out", str(f), "--models", "positional"]))


@pytest.fixture(scope="session")
def server(checkpoints: Path) -> Iterator[Server]:
    """A running service with all models."""
    with Server(MONIKER_CHECKPOINTS=str(checkpoints)) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of `server`."""
    with server.client() as connected:
        yield connected


# Of module scope: the browser runs an event loop, in which asyncio.run cannot be called.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser, for modules whose tests run no event loop."""
    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visits]:
    """A function that opens pages of `server`."""
    with Visits(browser, server.url) as visits:
        yield visits


@pytest.fixture
def coarse_percentiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute coarse percentiles, for faster training."""
    monkeypatch.setattr("models.scoring.percentile_estimation.MIN_PREFIXES", 500)
