"""What the tests share: the post's counts, models fitted on them, and a running service."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import settings

from models.chain import Chain, compile_chain
from models.counts import ContextCounts
from models.features import ARCHITECTURES, Layout
from models.fitting import Fit, fit
from models.linear import POSITIONS, LinearModel
from models.transitions import Contexts, Transitions
from models.vocabulary import Vocabulary
from server import Server
from training.__main__ import main as train

settings.register_profile("moniker", deadline=None)  # a busy machine is no defect
settings.load_profile("moniker")

HERE = Path(__file__).parent
ALPHABET = Vocabulary("abcdefghijklmnopqrstuvwxyz")


@pytest.fixture(scope="session")
def names_txt() -> Path:
    """The post's own list, which is not part of this project."""
    path = Path(os.environ.get("NAMES_TXT", "names.txt"))
    if not path.exists():
        pytest.skip("set NAMES_TXT to the post's names.txt to test on the file itself")
    return path


@pytest.fixture(scope="session")
def post_counts() -> ContextCounts:
    """The counts of the post's list, from the committed table."""
    show = "." + ALPHABET.characters
    with (HERE / "names_txt_counts.csv").open(encoding="utf-8") as file:
        rows = [
            (int(row["position"]), show.index(row["previous"]), show.index(row["next"]),
             int(row["count"]))
            for row in csv.DictReader(file)
        ]  # fmt: skip
    table = np.array(rows, dtype=np.intp)
    contexts = Contexts(table[:, 0], table[:, 1:2])
    return ContextCounts(Transitions(contexts, table[:, 2]), table[:, 3])


@pytest.fixture(scope="session")
def post_fits(post_counts: ContextCounts) -> dict[str, Fit]:
    """Each architecture fitted to the post's list by the post's recipe."""
    return {
        name: fit(post_counts, Layout(features, len(ALPHABET), POSITIONS))
        for name, features in ARCHITECTURES.items()
    }


@pytest.fixture(scope="session")
def post_models(post_fits: dict[str, Fit]) -> dict[str, LinearModel]:
    """The models of these fits."""
    return {
        name: LinearModel(name, ALPHABET, POSITIONS, fitted.weights)
        for name, fitted in post_fits.items()
    }


@pytest.fixture(scope="session", params=list(ARCHITECTURES))
def post_model(request: pytest.FixtureRequest, post_models: dict[str, LinearModel]) -> LinearModel:
    """Each of these models in turn."""
    return post_models[request.param]


@pytest.fixture(scope="session")
def post_chain(post_model: LinearModel) -> Chain:
    """The chain of the model."""
    return compile_chain(post_model)


@pytest.fixture
def small_model() -> LinearModel:
    """A positional model over three letters with random weights."""
    generator = np.random.default_rng(5)
    weights = generator.normal(size=(4 + 3, 4)).astype(np.float32)
    return LinearModel("positional", Vocabulary("abc"), 3, weights)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the training job has filled from the embedded list."""
    folder = tmp_path_factory.mktemp("checkpoints")
    assert train(["--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def server(checkpoints: Path) -> Iterator[Server]:
    """A running service."""
    with Server(MONIKER_CHECKPOINTS=str(checkpoints)) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of the running service."""
    with httpx.Client(base_url=server.url) as connected:
        yield connected
