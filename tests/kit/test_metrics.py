"""Metrics of several processes in one text, and the page that says what they mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from kit.metrics import ACTIVATIONS, TICK_DURATION, join_metrics, write_metrics

pytestmark = pytest.mark.unit

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def test_what_others_counted_stands_under_their_names_beside_ones_own() -> None:
    ACTIVATIONS.labels("room").inc(3)
    TICK_DURATION.labels("room").observe(0.02)
    text = write_metrics()
    joined = join_metrics("host", {"host-0": text, "host-1": text}).decode()
    families = {family.name: family for family in text_string_to_metric_families(joined)}
    assert len(families) == joined.count("# TYPE "), "each family once"
    (own,) = [
        sample.value
        for sample in families["socialflow_activations"].samples
        if sample.labels == {"kind": "room"}
    ]
    assert own >= 3
    for name in ("host-0", "host-1"):
        labels = {"kind": "room", "host": name}
        assert own in [
            sample.value
            for sample in families["socialflow_activations"].samples
            if sample.labels == labels
        ]
        buckets = [
            sample
            for sample in families["socialflow_tick_duration_seconds"].samples
            if sample.labels.get("host") == name and sample.name.endswith("_bucket")
        ]
        labelled = {tuple(sorted(sample.labels.items())) for sample in buckets}
        assert len(labelled) == len(buckets) > 10
    assert "python_info" in joined
    assert "python_info{host" not in joined


def test_without_others_one_writes_ones_own() -> None:
    assert re.findall("# TYPE .*", join_metrics("host", {}).decode()) == re.findall(
        "# TYPE .*", write_metrics().decode()
    )


def test_the_guide_names_every_metric_and_no_other() -> None:
    ours = {family.name for family in REGISTRY.collect() if family.name.startswith("socialflow_")}
    named = {
        name.removesuffix("_total")
        for name in re.findall(r"`(socialflow_[a-z0-9_]+)", OPERATIONS.read_text())
    }
    assert named == ours
