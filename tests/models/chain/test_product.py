import itertools

import numpy as np
import pytest

import models.chain.product_keys
from models.chain.markov_chain import compile_chain
from models.chain.product import Product, multiply
from models.constraints.automaton import Automaton
from models.constraints.constraints import TooComplexError
from models.constraints.forbidden import exclusion_automaton
from models.constraints.glob import pattern_automaton
from models.constraints.novelty import novelty_automaton
from models.counts.context_trie import START
from models.linear.model import LinearModel
from models.text.vocabulary import BOUNDARY, Vocabulary
from tests.support.automata import allows
from tests.support.oracle import all_names

ABC = Vocabulary("abc")
LONGEST = 5


def automata() -> list[Automaton]:
    without = exclusion_automaton(["ab", "cca"], ABC)
    assert without is not None
    novel = novelty_automaton(ABC.encode(["ba", "bab", "cabb"]), len(ABC))
    return [pattern_automaton("[!a]*b?", ABC), without, novel]


SELECTIONS = [list(chosen) for n in range(4) for chosen in itertools.combinations(range(3), n)]


def state_after(product: Product, name: str) -> int:
    """The state after a name, len(product) if it is dead."""
    state = START
    for letter in name:
        if state == len(product):
            break
        state = int(product.next_states[state, "abc".index(letter) + 1])
    return state


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_name_may_end_if_all_automata_accept_it(
    small_model: LinearModel, selection: list[int]
) -> None:
    chain, chosen = compile_chain(small_model), [automata()[number] for number in selection]
    product = multiply(chain, chosen, LONGEST)
    for name in ["", *all_names("abc", LONGEST)]:
        state, allowed = state_after(product, name), all(allows(a, ABC, name) for a in chosen)
        if state == len(product):
            assert not allowed
        else:
            assert (product.next_states[state, BOUNDARY] == START) == allowed
            expected = START
            for letter in name:
                expected = chain.trie.next_states[expected, "abc".index(letter) + 1]
            assert product.chain_states[state] == expected


@pytest.mark.parametrize("selection", SELECTIONS)
def test_layers_are_the_states_after_all_prefixes_of_a_length(
    small_model: LinearModel, selection: list[int]
) -> None:
    chosen = [automata()[number] for number in selection]
    product = multiply(compile_chain(small_model), chosen, LONGEST)
    layers = product.layers(LONGEST)
    assert len(layers) == LONGEST + 1
    assert layers[0].tolist() == [START]
    for length in range(1, LONGEST + 1):
        names = map("".join, itertools.product("abc", repeat=length))
        reached = {state_after(product, name) for name in names} - {len(product)}
        assert layers[length].tolist() == sorted(reached)
    if chosen:
        assert set(range(len(product))) == {int(s) for layer in layers for s in layer}


def test_a_product_without_automata_is_the_chain(small_model: LinearModel) -> None:
    chain = compile_chain(small_model)
    product = multiply(chain, [], LONGEST)
    assert product.chain_states.tolist() == list(range(len(chain.trie)))
    assert np.array_equal(product.next_states, chain.trie.next_states)


def test_layers_beyond_the_longest_name_are_empty(small_model: LinearModel) -> None:
    product = multiply(compile_chain(small_model), [pattern_automaton("??", ABC)], 64)
    layers = product.layers(64)
    assert len(layers) == 65
    assert [len(layer) > 0 for layer in layers] == [True] * 3 + [False] * 62


def test_a_product_has_no_states_beyond_the_longest_name(small_model: LinearModel) -> None:
    chain, pattern = compile_chain(small_model), pattern_automaton("?" * 64, ABC)
    for longest in (1, 3):
        product = multiply(chain, [pattern], longest)
        reached = {int(state) for layer in product.layers(longest) for state in layer}
        assert reached == set(range(len(product)))


def test_the_size_of_parts_does_not_change_the_product(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = multiply(compile_chain(small_model), automata(), LONGEST)
    monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", 9)
    in_parts = multiply(compile_chain(small_model), automata(), LONGEST)
    assert np.array_equal(in_parts.next_states, expected.next_states)
    assert np.array_equal(in_parts.chain_states, expected.chain_states)


def test_a_product_with_too_many_states_raises_an_error(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = compile_chain(small_model)
    large = [pattern_automaton("*a?????", ABC), *automata()]
    states = len(multiply(chain, large, 64))
    extra = states - len(chain.trie)  # beyond the states of the chain
    assert extra > 0
    monkeypatch.setattr(models.chain.product_keys, "MAX_NEXT_STATE_CELLS", extra * len(ABC))
    multiply(chain, large, 64)
    monkeypatch.setattr(models.chain.product_keys, "MAX_NEXT_STATE_CELLS", extra * len(ABC) - 1)
    with pytest.raises(TooComplexError, match=f"more than {states - 1} states for this model"):
        multiply(chain, large, 64)


def test_keys_that_no_integer_holds_raise_an_error(small_model: LinearModel) -> None:
    chain, large = compile_chain(small_model), pattern_automaton("?" * 255, ABC)
    assert len(multiply(chain, [large] * 7, 3)) > 3  # 256^7 = 2^56 times the states of the chain
    with pytest.raises(TooComplexError, match="too many states together"):
        multiply(chain, [large] * 8, 3)
