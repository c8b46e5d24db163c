"""Fixtures of W&B tests: nobody is logged in, and W&B has no environment left from other tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

from tests.sweeps.wandb_server import KEY, WandbServer, running


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "home" / "wandb"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "home" / "cache"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "home" / "data"))
    monkeypatch.setattr("sweeps.callbacks.wandb.session.CONNECT_SECONDS", 2.0)
    wandb.teardown()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, nobody_logged_in: None) -> Iterator[WandbServer]:
    """Yield a server that this machine is logged in to."""
    with running() as started:
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", started.url)
        yield started
        wandb.teardown()
