"""A clock for tests of what waits."""

import time


class QuickClock:
    """Sleeping takes no time but counts."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return time.monotonic() + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        time.sleep(0.005)
