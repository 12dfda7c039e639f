"""The benchmark's own answer, on a small set."""

from include.phone import bench


def test_e164_bench() -> None:
    result = bench.e164(rows=30_000, sample=3_000)
    assert result["disagreements"] == 0
    assert result["compared"] == 3_000 and result["rows"] == 30_000
    assert 0.9 < result["valid"] / result["rows"] < 0.98, "mostly valid, some junk"
    assert result["unit"] == "numbers/s"
    assert result["ratio"] == round(result["value"] / result["baseline"], 1) or result["ratio"] > 5
