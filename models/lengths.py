"""How long the names of a conditioned chain are: the exact law."""

import numpy as np

from models.arrays import Floats
from models.conditioning import ConditionedChain
from models.course import course
from models.vocabulary import BOUNDARY


def length_law(conditioned: ConditionedChain) -> Floats:
    """The probability of each length to the longest, of 0 it is 0; all add up to one."""
    law = np.zeros(conditioned.wish.max_length + 1)
    for length, _, steps in course(conditioned):
        law[length] += steps[:, BOUNDARY].sum()
    return law
