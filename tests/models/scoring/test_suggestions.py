from functools import cache

import pytest

import models.scoring.suggestions
from models.chain.markov_chain import compile_chain
from models.linear.model import LinearModel
from models.scoring.explanation import explain
from models.scoring.percentile_estimation import estimate_percentiles
from models.scoring.score import Score, Scorer
from models.scoring.suggestions import MAX_SUGGESTIONS, _edits, suggest
from models.text.vocabulary import Vocabulary
from tests.support.oracle import Layer


@cache
def scorer_of(model: LinearModel) -> Scorer:
    chain = compile_chain(model)
    return Scorer(chain, estimate_percentiles(chain))


def suggested(model: LinearModel, name: str) -> tuple[Score, list[Score]]:
    scorer = scorer_of(model)
    (scored,) = scorer.score([name])
    steps = [] if scored.unknown else explain(model, scorer.chain, scored.normalized)
    return scored, suggest(scorer, scored, steps)


def edits(name: str, characters: str) -> set[str]:
    """All names one edit away, anywhere."""
    names = {
        name[:at] + name[at + 1 :] for at in range(len(name))
    } | {
        name[:at] + c + name[at + 1 :] for at in range(len(name)) for c in characters
    } | {
        name[:at] + c + name[at:] for at in range(len(name) + 1) for c in characters
    } | {
        name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(len(name) - 1)
    }  # fmt: skip
    return names - {name, ""}


def is_at(position: int, name: str, other: str) -> bool:
    """Whether an edit is of the characters before and at a position, or between them."""
    if len(other) > len(name):
        return other[:position] == name[:position] and other[position + 1 :] == name[position:]
    if len(other) < len(name):
        return other in {name[:at] + name[at + 1 :] for at in {max(0, position - 1), position}}
    changed = {at for at in range(len(name)) if name[at] != other[at]}
    return changed <= {position - 1, position}


@pytest.mark.parametrize(
    ("name", "meant"),
    [("emnma", "emma"), ("olivai", "olivia"), ("zqkayla", "zakayla"), ("kaxyla", "kayla")],
)
def test_a_typing_error_is_corrected(fivegram: LinearModel, name: str, meant: str) -> None:
    _, suggestions = suggested(fivegram, name)
    assert suggestions[0].normalized == meant


def test_suggestions_are_the_most_probable_edits_at_the_greatest_shortfall(
    small_model: LinearModel, small_layer: Layer
) -> None:
    for name in ["abc", "cccab", "bbbbbb", "a", "cacaca"]:
        _, suggestions = suggested(small_model, name)
        steps = explain(small_model, compile_chain(small_model), name)
        shortfalls = [step.log_likelihood - step.expected for step in steps]
        position = shortfalls.index(min(shortfalls))
        near = {other for other in edits(name, "abc") if is_at(position, name, other)}
        more_probable = sorted(
            (-small_layer.probability(other), other)
            for other in near
            if small_layer.probability(other) > small_layer.probability(name)
        )
        assert [suggestion.normalized for suggestion in suggestions] == [
            other for _, other in more_probable[:MAX_SUGGESTIONS]
        ]


def test_suggestions_have_scores_in_descending_order(fivegram: LinearModel) -> None:
    scored, suggestions = suggested(fivegram, "kaxyla")
    assert 1 <= len(suggestions) <= MAX_SUGGESTIONS
    likelihoods = [suggestion.log_likelihood or 0.0 for suggestion in suggestions]
    assert likelihoods == sorted(likelihoods, reverse=True)
    assert min(likelihoods) > (scored.log_likelihood or 0.0)
    assert all(suggestion.percentile is not None for suggestion in suggestions)


def test_an_unknown_character_is_replaced(fivegram: LinearModel) -> None:
    _, suggestions = suggested(fivegram, "oliv\N{GRINNING FACE}a")
    assert suggestions[0].normalized == "olivia"


def test_two_unknown_characters_have_no_suggestions(fivegram: LinearModel) -> None:
    assert suggested(fivegram, "ol!v!a")[1] == []


def test_the_most_probable_characters_of_a_large_alphabet_are_tried(
    fivegram: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.scoring.suggestions, "MAX_CHARACTERS", 8)
    assert suggested(fivegram, "kaxyla")[1][0].normalized == "kayla"
    tried = set(_edits(compile_chain(fivegram), "kaxyla", 2))
    assert len(tried) <= 3 * 8 + 3
    assert {"kalyla", "kayla", "kaylya"} & tried


def test_suggestions_are_normalised_names(small_model: LinearModel) -> None:
    # An edit can leave a space at an end, or an e beside its accent, which compose.
    vocabulary = Vocabulary(" e\N{COMBINING ACUTE ACCENT}")
    model = LinearModel(small_model.feature_map, vocabulary, small_model.weights)
    for name in ["e", "e e", "eee", "e\N{COMBINING ACUTE ACCENT}", ""]:
        for suggestion in suggested(model, name)[1]:
            assert suggestion.name != ""
            assert suggestion.normalized == suggestion.name
            assert suggestion.name == vocabulary.normalize(suggestion.name)
