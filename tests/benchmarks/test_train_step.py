"""The benchmark of training steps measures every setting of a size."""

from __future__ import annotations

import re

import pytest

from benchmarks.train_step import main


@pytest.mark.slow
def test_every_setting_is_measured_and_what_measured_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--sizes", "tiny_demo", "--repeat", "1"])
    out = capsys.readouterr().out
    assert re.search(r"torch \S+, commit \S+", out) and "1 thread(s), 1 steps each" in out
    rows = re.findall(r"^tiny_demo +32  (\w+) +(with|without) +(\S+) +(\S+)$", out, re.M)
    assert [row[:2] for row in rows] == [
        ("float32", "with"),
        ("float32", "without"),
        ("bfloat16", "with"),
        ("bfloat16", "without"),
    ]
    assert all(float(row[2]) >= float(row[3]) > 0 for row in rows)


def test_no_steps_are_no_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--repeat", "0"])
    assert ended.value.code == 2
    assert "must be at least 1" in capsys.readouterr().err
