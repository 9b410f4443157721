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


SELECTIONS = [list(some) for n in range(4) for some in itertools.combinations(range(3), n)]


def state_after(product: Product, name: str) -> int:
    """Where a name leads, one beyond the last state if nowhere."""
    state = START
    for letter in name:
        if state == len(product):
            break
        state = int(product.next_states[state, "abc".index(letter) + 1])
    return state


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_name_ends_where_the_chain_does_and_all_automata_allow_it(
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
def test_layers_are_the_states_that_names_of_a_length_lead_to(
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


def test_layers_come_to_an_end_where_names_do(small_model: LinearModel) -> None:
    product = multiply(compile_chain(small_model), [pattern_automaton("??", ABC)], 64)
    layers = product.layers(64)
    assert len(layers) == 65
    assert [len(layer) > 0 for layer in layers] == [True] * 3 + [False] * 62


def test_states_beyond_the_longest_name_are_left_out(small_model: LinearModel) -> None:
    chain, pattern = compile_chain(small_model), pattern_automaton("?" * 64, ABC)
    for longest in (1, 3):
        product = multiply(chain, [pattern], longest)
        reached = {int(state) for layer in product.layers(longest) for state in layer}
        assert reached == set(range(len(product)))


def test_the_parts_that_states_are_worked_on_in_make_no_difference(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = multiply(compile_chain(small_model), automata(), LONGEST)
    monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", 9)
    in_parts = multiply(compile_chain(small_model), automata(), LONGEST)
    assert np.array_equal(in_parts.next_states, whole.next_states)
    assert np.array_equal(in_parts.chain_states, whole.chain_states)


def test_too_many_states_are_refused(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = compile_chain(small_model)
    large = [pattern_automaton("*a?????", ABC), *automata()]
    states = len(multiply(chain, large, 64))
    room = states - len(chain.trie)  # beyond what a plain wish takes
    assert room > 0
    monkeypatch.setattr(models.chain.product_keys, "MAX_NEXT_STATE_CELLS", room * len(ABC))
    multiply(chain, large, 64)
    monkeypatch.setattr(models.chain.product_keys, "MAX_NEXT_STATE_CELLS", room * len(ABC) - 1)
    with pytest.raises(TooComplexError, match=f"more than {states - 1} states for this model"):
        multiply(chain, large, 64)


def test_keys_are_refused_that_no_integer_holds(small_model: LinearModel) -> None:
    chain, large = compile_chain(small_model), pattern_automaton("?" * 255, ABC)
    assert len(multiply(chain, [large] * 7, 3)) > 3  # 256^7 = 2^56 times the states of the chain
    with pytest.raises(TooComplexError, match="too many states together"):
        multiply(chain, [large] * 8, 3)
