import numpy as np
import pytest

from models.arrays import Ints
from models.chain.conditioning import condition
from models.chain.markov_chain import compile_chain
from models.constraints.constraints import Constraints
from models.linear.model import LinearModel
from models.queries.bigrams import bigrams
from models.queries.lengths import length_distribution
from models.text.vocabulary import BOUNDARY
from tests.support.oracle import Layer, name_distribution

LONGEST = 6
ALL: Ints = np.arange(4)
WISHES = [
    (Constraints(max_length=LONGEST), lambda name: True),
    (Constraints(max_length=LONGEST, pattern="*b?*", exclude=frozenset(["ca"]), min_length=3),
     lambda name: "b" in name[:-1] and "ca" not in name and len(name) >= 3),
]  # fmt: skip


@pytest.mark.parametrize(("constraints", "fulfils"), WISHES)
@pytest.mark.parametrize("position", range(LONGEST + 2))
def test_they_are_those_of_all_names_weighed_one_by_one(
    small_model: LinearModel,
    small_layer: Layer,
    constraints: Constraints,
    fulfils: object,
    position: int,
) -> None:
    assert callable(fulfils)
    law = {n: p for n, p in name_distribution(small_layer, LONGEST).items() if fulfils(n)}
    joint, total = np.zeros((4, 4)), sum(law.values())
    for name, probability in law.items():
        steps = [BOUNDARY, *("abc".index(c) + 1 for c in name), BOUNDARY]
        if position <= len(name):
            joint[steps[position], steps[position + 1]] += probability / total
    found = bigrams(condition(compile_chain(small_model), constraints), position, ALL)
    assert found.tokens.tolist() == [0, 1, 2, 3]
    assert found.joint == pytest.approx(joint, abs=1e-12)
    assert found.previous == pytest.approx(joint.sum(axis=1), abs=1e-12)
    assert found.reached == pytest.approx(joint.sum(), abs=1e-12)
    assert found.ended == pytest.approx(joint[:, BOUNDARY].sum(), abs=1e-12)


def test_what_ends_at_each_position_is_the_law_of_lengths(small_model: LinearModel) -> None:
    conditioned = condition(compile_chain(small_model), Constraints(max_length=20))
    ended = [bigrams(conditioned, position, ALL).ended for position in range(21)]
    assert ended == pytest.approx(length_distribution(conditioned).tolist())


def test_the_parts_that_states_are_worked_on_in_do_not_matter(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditioned = condition(compile_chain(small_model), Constraints(max_length=8))
    whole = bigrams(conditioned, 4, ALL)
    monkeypatch.setattr("models.chain.markov_chain.CELLS", 3 * 4)
    parts = bigrams(conditioned, 4, ALL)
    assert parts.joint == pytest.approx(whole.joint, abs=1e-15)
    assert parts.reached == pytest.approx(whole.reached)
