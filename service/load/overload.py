"""The error of a request that would have to wait too long."""

import math
import random


class OverloadError(Exception):
    """The estimated wait is too long.

    reason: what there is too much of, a label of the metric
    seconds: the estimated wait
    """

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.reason, self.seconds = reason, seconds

    @property
    def retry_after(self) -> int:
        """Whole seconds: the estimated wait and up to half as much again, at least one.

        The jitter keeps clients that were refused together from coming back together.
        """
        jitter = random.uniform(1.0, 1.5)  # noqa: S311 - no secret
        return max(1, math.ceil(self.seconds * jitter))
