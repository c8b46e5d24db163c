"""A Ray worker process: it trains one job after another. Light to import: new workers wait for it."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

from ray import tune

if TYPE_CHECKING:
    from hrm.data.base import InMemoryDataset
    from sweeps.execution.prefetch import Prefetcher
    from sweeps.execution.resources import Machine
    from sweeps.execution.storage import Storage

_SECONDS_BETWEEN_STEPS = 0.02
"""Of a worker without a job."""


class Worker(tune.Trainable):
    """One job at a time, a step being all that lies between two reports; the next one is begun meanwhile.

    Each step returns a `Validation` or an `Ended` event as `message`. The scheduler stops the trial when either
    says that the job has ended; a finished job is therefore never asked for one step more. With an empty
    config there is no job, and a step says nothing.
    """

    def setup(self, config: dict, carried: InMemoryDataset | None = None) -> None:
        from sweeps.execution import trial

        self._dataset = None if carried is None else carried.dataset
        self._messages: Prefetcher | None = None
        trial.warm_up()
        gc.freeze()  # to look through torch's and Ray's objects again and again takes a trial's time
        self.reset_config(config)

    def reset_config(self, new_config: dict) -> bool:
        from sweeps.execution import trial
        from sweeps.execution.prefetch import Prefetcher

        self.cleanup()
        if new_config:
            self._messages = Prefetcher(
                lambda ahead: trial.run(**new_config, dataset=self._dataset, ahead=ahead)
            )
        self.config = {}  # Tune would send it back with every report
        return True

    def step(self) -> dict:
        if self._messages is None:
            time.sleep(_SECONDS_BETWEEN_STEPS)
            return {"message": None}
        return {"message": next(self._messages)}

    def cleanup(self) -> None:
        if self._messages is not None:
            self._messages.close()
        self._messages = None


def look_around(storage: Storage, marker: str) -> Machine:
    """The machine on which this runs, once it has shown that it shares the storage.

    Args:
        marker: a file in the storage that the driver has written.

    Raises:
        ResourceError: it does not reach the storage, or another one by the same name.
    """
    from sweeps.execution.resources import Machine

    storage.check(marker)
    return Machine.local()
