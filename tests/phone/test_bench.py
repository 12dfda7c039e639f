"""The benchmark's own answer, on a small set."""

import pytest

from include.phone import bench


def test_e164_bench() -> None:
    result = bench.e164(rows=30_000, sample=3_000)
    assert result["disagreements"] == 0
    assert result["compared"] == 3_000
    assert result["rows"] == 30_000
    assert 0.9 < result["valid"] / result["rows"] < 0.98, "mostly valid, some junk"
    assert result["unit"] == "numbers/s"
    assert result["ratio"] == pytest.approx(result["value"] / result["baseline"], abs=0.1)
