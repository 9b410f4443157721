import doctest
import importlib

import pytest

from tests.support.paths import ROOT

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "models").rglob("*.py"))
    if path.name != "__init__.py"
]
ENTRY_POINTS = [
    "models.chain.conditioning",
    "models.chain.markov_chain",
    "models.constraints.constraints",
    "models.constraints.forbidden",
    "models.constraints.glob",
    "models.constraints.novelty",
    "models.constraints.spelling",
    "models.counts.context_counts",
    "models.counts.transitions",
    "models.queries.k_best",
    "models.queries.marginals",
    "models.queries.next_character",
    "models.queries.sampling",
    "models.scoring.likelihoods",
    "models.scoring.percentile_table",
    "models.text.lexicon",
    "models.text.normalization",
    "models.text.vocabulary",
]


def examples(module: str) -> list[doctest.DocTest]:
    return doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module))


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_print_what_they_show(module: str) -> None:
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for example in examples(module):
        runner.run(example, out=report.append)
    assert not runner.summarize(verbose=False).failed, "".join(report)


@pytest.mark.parametrize("module", ENTRY_POINTS)
def test_the_modules_that_a_reader_calls_first_have_examples(module: str) -> None:
    assert any(example.examples for example in examples(module))
