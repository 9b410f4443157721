import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.chain.key_index
from models.chain.key_index import KeyIndex

BLOCKS = st.lists(st.lists(st.integers(-1, 300), max_size=30), max_size=6)


@given(blocks=BLOCKS)
@pytest.mark.parametrize("slots", [1, 8, 2**10])
def test_an_index_returns_new_keys_once_and_numbers_keys_in_order(
    slots: int, blocks: list[list[int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.chain.key_index, "HASH_SLOTS", slots)
        index, known = KeyIndex(low_bits=3), set[int]()
        for block in blocks:
            new = index.add(np.array(block, dtype=np.int64)).tolist()
            assert sorted(new) == sorted({*block} - known - {-1})
            known |= {*new}
        ordered = sorted(known)
        assert index.assign_numbers().tolist() == ordered
        keys = np.array([[key, -1] for key in ordered[::-1]], dtype=np.int64).reshape(-1, 2)
        expected = [[number, -1] for number in range(len(ordered))][::-1]
        assert index.find(keys).tolist() == expected
