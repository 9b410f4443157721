import numpy as np
import pytest
import torch

from models.chain.markov_chain import MarkovChain, compile_chain, log_normalizers
from models.counts.context_trie import START
from models.counts.transitions import Contexts, Transitions
from models.linear.model import LinearModel
from models.text.vocabulary import BOUNDARY
from tests.support.oracle import Floats, Layer


def rows(chain: MarkovChain) -> Floats:
    """P(next) at all positions in all states, (positions, states, tokens)."""
    logits = np.array([chain.logits(position, slice(None)) for position in range(chain.positions)])
    return np.asarray(np.exp(logits - log_normalizers(chain)[..., np.newaxis]))


def test_a_chain_has_the_probabilities_of_a_dense_softmax(
    post_layer: Layer, post_chain: MarkovChain
) -> None:
    compiled = rows(post_chain)
    for position in range(23):
        row = compiled[min(position, post_chain.positions - 1)]
        assert row == pytest.approx(post_layer.matrix(position), abs=1e-12)


def test_the_state_of_a_bigram_is_the_last_character(post_chain: MarkovChain) -> None:
    assert post_chain.trie.next_states.shape == (27, 27)
    assert (post_chain.trie.next_states == np.arange(27)).all()


def test_a_fivegram_has_the_probabilities_of_torch_in_seen_and_unseen_contexts(
    fivegram: LinearModel, fivegram_layer: Layer, us_names: list[str]
) -> None:
    generator = np.random.default_rng(8)
    contexts = [
        (t, history)
        for name in generator.choice(us_names, 100)
        for t, (history, _) in enumerate(fivegram_layer.steps(name))
    ]
    for length in generator.integers(0, 40, size=1_000 - 300):
        letters = generator.integers(1, 27, size=4)
        letters[length:] = BOUNDARY  # before the start of the name
        contexts.append((int(length), tuple(letters.tolist())))
    inputs = torch.from_numpy(np.array([fivegram_layer.inputs(*context) for context in contexts]))
    logits = inputs @ torch.from_numpy(fivegram.weights).double()
    expected = logits.log_softmax(dim=1).numpy()
    unseen = (inputs[:, 27:].sum(dim=1) < 4).numpy()
    assert unseen.sum() > 300
    assert (~unseen).sum() > 300

    chain = compile_chain(fivegram)
    positions, history = (np.array(column) for column in zip(*contexts, strict=True))
    for token in range(27):
        transitions = Transitions(Contexts(positions, history), np.full(len(contexts), token))
        assert chain.log_probabilities_in_context(transitions) == pytest.approx(
            expected[:, token], abs=1e-9
        )


def test_the_probabilities_of_all_names_sum_to_one(
    post_chain: MarkovChain, fivegram: LinearModel
) -> None:
    # An absorbing chain: from the last position on, P(ended within n transitions) grows with n
    # to its fixed point; earlier positions multiply it by their own probabilities.
    for chain in (post_chain, compile_chain(fivegram)):
        *before, last = rows(chain)
        ended = np.zeros(len(chain.trie))
        while ((more := ended_before(ended, last, chain)) - ended).max() > 1e-15:
            ended = more
        for row in reversed(before):
            ended = ended_before(ended, row, chain)
        assert ended[START] == pytest.approx(1.0, abs=1e-12)


def ended_before(ended: Floats, row: Floats, chain: MarkovChain) -> Floats:
    """P(ended) from each state, from that after one more transition."""
    following = ended[chain.trie.next_states]
    following[:, BOUNDARY] = 1.0
    return np.asarray((row * following).sum(axis=1))


def test_later_positions_have_the_probabilities_of_the_last_one(post_chain: MarkovChain) -> None:
    last = post_chain.log_probabilities(post_chain.positions - 1, slice(None))
    for position in (23, 64):
        assert np.array_equal(post_chain.log_probabilities(position, slice(None)), last)


def test_parts_cover_all_states_and_fit_the_cache(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = compile_chain(small_model)
    for cells in (1, 9, 2**20):
        monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", cells)
        for stop in (None, 3):
            parts = list(chain.parts(stop))
            last = len(chain.trie) if stop is None else stop
            assert [s for part in parts for s in range(part.start, part.stop)] == [*range(last)]
            assert all((part.stop - part.start) * 4 <= max(4, cells) for part in parts)


def test_state_factors_are_the_same_whether_they_are_kept_or_not(
    fivegram: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = log_normalizers(compile_chain(fivegram))
    monkeypatch.setattr("models.chain.factored_exponentials.MAX_FACTOR_CELLS", 0)
    assert np.array_equal(log_normalizers(compile_chain(fivegram)), kept)
