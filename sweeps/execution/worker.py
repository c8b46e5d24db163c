"""A Ray worker process, which trains one job after another. Light to import: new workers wait for it."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

from ray import tune

if TYPE_CHECKING:
    from hrm.data.base import InMemoryDataset
    from sweeps.execution.resources import Machine
    from sweeps.execution.storage import Storage
    from sweeps.execution.trial import Prefetcher

_IDLE_SECONDS = 0.02
"""Length of a step without a job."""


class Worker(tune.Trainable):
    """Trains one job at a time. A step lasts from one validation to the next, which is begun ahead of time.

    Each step returns a `Measured`, a `Validation` or a failed `Ended` as `message`. Tune's scheduler stops the
    trial when one of them ends the job, so a finished job is never asked for another step. With an empty config
    there is no job, and a step returns None.
    """

    def setup(self, config: dict, in_memory_dataset: InMemoryDataset | None = None) -> None:
        from sweeps.execution.trial import import_optimizers

        self._dataset = None if in_memory_dataset is None else in_memory_dataset.dataset
        self._messages: Prefetcher | None = None
        import_optimizers()
        gc.freeze()  # collecting torch's and Ray's objects again and again takes a trial's time
        self.reset_config(config)

    def reset_config(self, new_config: dict) -> bool:
        from sweeps.execution.trial import Prefetcher, run_trial

        self.cleanup()
        if new_config:
            self._messages = Prefetcher(
                lambda prefetcher: run_trial(**new_config, dataset=self._dataset, prefetcher=prefetcher)
            )
        self.config = {}  # Tune would send it back with every result
        return True

    def step(self) -> dict:
        if self._messages is None:
            time.sleep(_IDLE_SECONDS)
            return {"message": None}
        return {"message": next(self._messages)}

    def cleanup(self) -> None:
        if self._messages is not None:
            self._messages.close()
        self._messages = None


def inspect_node(storage: Storage, marker: str) -> Machine:
    """Return the machine on which this runs, after checking that it shares the storage.

    Args:
        marker: a file in the storage that the driver has written.

    Raises:
        ResourceError: it does not reach the storage, or reaches another one of the same name.
    """
    from sweeps.execution.resources import Machine

    storage.check(marker)
    return Machine.detect()
