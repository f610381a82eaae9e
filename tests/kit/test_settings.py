"""Settings: one tree from one private file and the environment."""

from pathlib import Path

import pytest

from kit.setting_sections import SettingsInvalid
from kit.settings import list_options, load_settings

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, text: str, mode: int = 0o600) -> dict[str, str]:
    file = folder / "settings.toml"
    file.write_text(text)
    file.chmod(mode)
    return {"SOCIALFLOW_SETTINGS": str(file)}


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path):
    env = write(tmp_path, "[http]\nport = 9000\nreplicas = 3\n")
    settings = load_settings(env | {"SOCIALFLOW_HTTP_PORT": "9100"})
    assert (settings.http.port, settings.http.replicas, settings.edge.port) == (9100, 3, 8001)


def test_aliases_name_servers_of_your_own():
    settings = load_settings(
        {"DATABASE_URL": "postgresql://a", "REDIS_URL": "redis://b", "PUBLIC_URL": "https://c"}
    )
    assert (settings.database.url, settings.cache.url) == ("postgresql://a", "redis://b")
    assert settings.http.public_url == "https://c"


def test_lists_and_booleans_are_read_from_text():
    env = {
        "SOCIALFLOW_EDGE_PUBLIC_IPS": "192.0.2.1, 192.0.2.2",
        "SOCIALFLOW_CLUSTER_DASHBOARD": "true",
    }
    settings = load_settings(env)
    assert settings.edge.public_ips == ("192.0.2.1", "192.0.2.2")
    assert settings.cluster.dashboard is True


def test_a_file_that_others_can_read_is_refused_with_its_cure(tmp_path: Path):
    with pytest.raises(SettingsInvalid, match="chmod 600"):
        load_settings(write(tmp_path, "", mode=0o644))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[http]\nprot = 1\n", "prot"),
        ("[http]\nport = 'x'\n", "http.port"),
        ("[http\n", "not TOML"),
        ('[live]\nladder = ["480p", "900p"]', "900p"),
        ("[processing]\ndeleted_kept_days = -1", "deleted_kept_days"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, words: str):
    with pytest.raises(SettingsInvalid, match=words):
        load_settings(write(tmp_path, text))


def test_every_setting_has_a_sentence():
    assert all(doc.endswith((".", ")")) for _name, _default, doc, _secret in list_options())
