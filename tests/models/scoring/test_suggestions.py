from functools import cache

import pytest

import models.scoring.suggestions
from models.chain.markov_chain import compile_chain
from models.linear.model import LinearModel
from models.scoring.explanation import explain
from models.scoring.percentile_estimation import estimate_percentiles
from models.scoring.score import Score, Scorer
from models.scoring.suggestions import MOST, _edits, suggest
from models.text.vocabulary import Vocabulary
from tests.support.oracle import Layer


@cache
def scorer_of(model: LinearModel) -> Scorer:
    chain = compile_chain(model)
    return Scorer(chain, estimate_percentiles(chain))


def repaired(model: LinearModel, name: str) -> tuple[Score, list[Score]]:
    scorer = scorer_of(model)
    (scored,) = scorer.score([name])
    steps = [] if scored.unknown else explain(model, scorer.chain, scored.normalized)
    return scored, suggest(scorer, scored, steps)


def edits(name: str, characters: str) -> set[str]:
    """All names one edit away, anywhere."""
    found = {
        name[:at] + name[at + 1 :] for at in range(len(name))
    } | {
        name[:at] + c + name[at + 1 :] for at in range(len(name)) for c in characters
    } | {
        name[:at] + c + name[at:] for at in range(len(name) + 1) for c in characters
    } | {
        name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(len(name) - 1)
    }  # fmt: skip
    return found - {name, ""}


def is_at(place: int, name: str, other: str) -> bool:
    """Whether an edit is at a place: of the characters before and at it, or between them."""
    if len(other) > len(name):
        return other[:place] == name[:place] and other[place + 1 :] == name[place:]
    if len(other) < len(name):
        return other in {name[:at] + name[at + 1 :] for at in {max(0, place - 1), place}}
    changed = {at for at in range(len(name)) if name[at] != other[at]}
    return changed <= {place - 1, place}


@pytest.mark.parametrize(
    ("name", "meant"),
    [("emnma", "emma"), ("olivai", "olivia"), ("zqkayla", "zakayla"), ("kaxyla", "kayla")],
)
def test_a_slip_of_the_hand_is_repaired(fivegram: LinearModel, name: str, meant: str) -> None:
    _, found = repaired(fivegram, name)
    assert found[0].normalized == meant


def test_repairs_are_the_likeliest_names_one_edit_from_the_worst_place(
    small_model: LinearModel, small_layer: Layer
) -> None:
    for name in ["abc", "cccab", "bbbbbb", "a", "cacaca"]:
        scored, found = repaired(small_model, name)
        steps = explain(small_model, compile_chain(small_model), name)
        shortfalls = [step.log_likelihood - step.expected for step in steps]
        place = shortfalls.index(min(shortfalls))
        near = {other for other in edits(name, "abc") if is_at(place, name, other)}
        likelier = sorted(
            (-small_layer.probability(other), other)
            for other in near
            if small_layer.probability(other) > small_layer.probability(name)
        )
        assert [one.normalized for one in found] == [other for _, other in likelier[:MOST]]
        assert scored.log_likelihood is not None


def test_repairs_come_with_their_scores(fivegram: LinearModel) -> None:
    scored, found = repaired(fivegram, "kaxyla")
    assert 1 <= len(found) <= MOST
    likelihoods = [one.log_likelihood or 0.0 for one in found]
    assert likelihoods == sorted(likelihoods, reverse=True)
    assert min(likelihoods) > (scored.log_likelihood or 0.0)
    assert all(one.percentile is not None for one in found)


def test_an_unknown_character_is_the_worst_place(fivegram: LinearModel) -> None:
    _, found = repaired(fivegram, "oliv\N{GRINNING FACE}a")
    assert found[0].normalized == "olivia"


def test_no_single_edit_repairs_two_unknown_characters(fivegram: LinearModel) -> None:
    assert repaired(fivegram, "ol!v!a")[1] == []


def test_of_a_large_alphabet_the_likeliest_characters_are_tried(
    fivegram: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.scoring.suggestions, "CHARACTERS", 8)
    assert repaired(fivegram, "kaxyla")[1][0].normalized == "kayla"
    tried = set(_edits(compile_chain(fivegram), "kaxyla", 2))
    assert len(tried) <= 3 * 8 + 3
    assert {"kalyla", "kayla", "kaylya"} & tried


def test_a_repair_is_a_name_as_it_would_be_scored(small_model: LinearModel) -> None:
    # Its letters are a space and an e with its accent, which compose, and so are no letters.
    vocabulary = Vocabulary(" e\N{COMBINING ACUTE ACCENT}")
    model = LinearModel(small_model.feature_map, vocabulary, small_model.weights)
    for name in ["e", "e e", "eee", "e\N{COMBINING ACUTE ACCENT}", ""]:
        for one in repaired(model, name)[1]:
            assert one.normalized == one.name == vocabulary.normalize(one.name) != ""
