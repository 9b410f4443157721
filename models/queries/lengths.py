"""How long the names of a conditioned chain are: the exact law."""

import numpy as np

from models.arrays import Floats
from models.chain.conditioning import ConditionedChain
from models.queries.forward import forward_marginals
from models.text.vocabulary import BOUNDARY


def length_distribution(conditioned: ConditionedChain) -> Floats:
    """The probability of each length to the longest, of 0 it is 0; all add up to one."""
    law = np.zeros(conditioned.constraints.max_length + 1)
    for length, _, steps in forward_marginals(conditioned):
        law[length] += steps[:, BOUNDARY].sum()
    return law
