"""What all tests share."""

import os

# Before torch loads: a test that needs threads asks for them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

LONGEST = (
    "test_docs.py",
    "test_faults.py",
    "test_sweep.py",
    "test_ray_tune.py",
    "test_publish.py",
    "test_runs.py",
)
"""Files that take longest. They come first, so that two processes end at about the same time."""

# How long an example takes says more of the machine than of the code.
settings.register_profile("hrm-sweeps", deadline=None)
settings.load_profile("hrm-sweeps")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
