"""ray_cluster.yaml is what Ray's own launcher accepts, and says what the product needs."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema.exceptions import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

from cluster.topology import list_resources
from kit.settings import Settings

pytestmark = [pytest.mark.ray, pytest.mark.beside]

FILE = Path(__file__).resolve().parents[2] / "ray_cluster.yaml"


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


def test_rays_own_check_accepts_it(config: dict[str, Any]):
    validate_config(prepare_config(config))


def test_rays_own_check_refuses_a_planted_fault(config: dict[str, Any]):
    config["available_node_types"]["media"]["max_workers"] = "many"
    with pytest.raises(ValidationError):
        validate_config(prepare_config(config))


def test_every_resource_the_product_asks_for_has_nodes(config: dict[str, Any]):
    types = config["available_node_types"]
    offered = {name for node in types.values() for name in node["resources"]}
    asked_for = {name for name in list_resources(Settings()) if not name.startswith("at:")}
    assert offered >= asked_for | {"GPU"}
    assert types["models"]["resources"]["GPU"] >= 1
    assert types["media"]["resources"]["media"] > 1
    assert all("socialflow/role" in node["labels"] for node in types.values())


def test_head_and_workers_agree_and_no_secret_is_on_a_command_line(config: dict[str, Any]):
    head, worker = config["head_start_ray_commands"][-1], config["worker_start_ray_commands"][-1]
    for name in (
        *("RAY_AUTH_MODE=token", "RAY_USE_TLS=1", "SOCIALFLOW_SETTINGS=/etc/"),
        "SOCIALFLOW_CLUSTER_HOST=",
    ):
        assert name in head
        assert name in worker
    assert "password" not in head + worker
