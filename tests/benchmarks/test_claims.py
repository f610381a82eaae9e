"""What the documents claim is what the benchmarks recorded last."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
FIGURE = re.compile(r"^(?P<side>\S.*?) {2,}(?P<name>\w+)(?P<values>(?: +-?\d+\.\d+){3})$", re.M)
PART = re.compile(r"^  (?P<part>\S.*?) {2,}(?P<value>\d+\.\d)$", re.M)
ROW = re.compile(r"^\| (?P<parts>[^|]+?) \| (?P<value>[\d,]+) \|", re.M)


def read_answer(name: str) -> str:
    return (ROOT / "benchmarks" / name / "last.txt").read_text()


def read_medians(name: str) -> dict[tuple[str, str], float]:
    """Return the medians of a benchmark's last answer by side and figure."""
    return {
        (found["side"], found["name"]): float(found["values"].split()[1])
        for found in FIGURE.finditer(read_answer(name))
    }


def read_parts(name: str, title: str) -> dict[str, float]:
    """Return one breakdown of a benchmark's last answer."""
    block = read_answer(name).partition(f"\n{title} ")[2].partition("\n\n")[0]
    return {found["part"]: float(found["value"]) for found in PART.finditer(block)}


def test_the_guide_for_operators_shows_where_each_megabyte_goes():
    page = (ROOT / "docs" / "operations.md").read_text()
    section = page.partition("## How long and how much")[2].partition("\n## ")[0]
    claimed = {part: int(row["value"]) for row in ROW.finditer(section) for part in [row["parts"]]}
    measured = {part: round(value) for part, value in read_parts("boot", "PSS MiB by part").items()}
    assert claimed == measured
    medians = read_medians("boot")
    boot_s, memory = medians["product", "boot_s"], medians["product", "idle_pss_mib"]
    assert f"boot {boot_s:.1f} s, {memory:,.0f} MiB PSS" in section


CLAIM = re.compile(
    r"^\| (?P<what>[^|]+) \| (?P<measured>[^|]+) \| (?P<goal>[^|]*) ?"
    r"\| \[(?P<name>\w+)\]\(benchmarks/(?P=name)/last\.txt\) \|$",
    re.M,
)
NUMBER = re.compile(r"(?:(?<!\S)-)?\d[\d,]*(?:\.\d+)?")
MISSED = re.compile(r"^goal MISSED: .* (-?\d+\.\d+) \(at most", re.M)
JUDGED = re.compile(r"^goal (?:met|MISSED): .* (-?\d+\.\d+) \(at most", re.M)


def is_recorded(number: str, recorded: list[float]) -> bool:
    """Say whether a figure, rounded as the claim is, stands in the record."""
    digits = len(number.partition(".")[2])
    return any(f"{value:,.{digits}f}" == number for value in recorded)


def test_every_number_of_the_readme_stands_in_its_benchmark():
    section = (ROOT / "README.md").read_text().partition("## Measured")[2].partition("\n## ")[0]
    claims = list(CLAIM.finditer(section))
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert len(claims) == len(rows) - 1, "every row but the title names its benchmark"
    for claim in claims:
        recorded = [*read_medians(claim["name"]).values()]
        recorded += [float(value) for value in JUDGED.findall(read_answer(claim["name"]))]
        numbers = NUMBER.findall(claim["measured"])
        assert numbers, claim["what"]
        unknown = [number for number in numbers if not is_recorded(number, recorded)]
        assert unknown == [], claim["what"]
        # "Missed goals included": a row is silent about none of its benchmark.
        missed = [float(value) for value in MISSED.findall(read_answer(claim["name"]))]
        silent = [value for value in missed if not any(is_recorded(it, [value]) for it in numbers)]
        assert silent == [], claim["what"]
        assert claim["measured"].count("(missed)") == len(missed), claim["what"]
