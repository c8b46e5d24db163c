"""What all tests share."""

import os

# Before torch loads: a test that needs threads asks for them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("hrm-sweeps", deadline=None)
settings.load_profile("hrm-sweeps")
