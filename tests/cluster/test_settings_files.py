"""The settings file: made once with secrets, never rewritten, and what processes read from it."""

import dataclasses
import stat
import tomllib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cluster.home import Home
from cluster.manual import list_values, render_manual
from cluster.settings_files import (
    load_installation,
    make_secrets,
    read_installation,
    render_toml,
    write_running_settings,
)
from kit.setting_sections import HttpSettings, SettingsInvalid
from kit.settings import Settings, list_options, load_settings

pytestmark = pytest.mark.unit


@pytest.fixture
def place(tmp_path: Path) -> Home:
    (tmp_path / "run").mkdir()
    return Home(tmp_path)


def test_the_first_start_makes_private_secrets_and_the_second_keeps_them(place: Home):
    first = load_installation(place, {})
    assert stat.S_IMODE(place.settings_file.stat().st_mode) == 0o600
    assert len(bytes.fromhex(first.auth.token_key)) == 32
    assert len(bytes.fromhex(first.cluster.key)) == 32
    assert len(bytes.fromhex(first.auth.content_key)) == 32
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(first.auth.grant_private_key))
    assert private.public_key().public_bytes_raw().hex() == first.auth.grant_public_key
    assert first.home == place.root
    assert load_installation(place, {}) == first


def test_secrets_are_added_to_a_persons_file_without_touching_the_rest(place: Home):
    text = (
        '# mine\n[http]\nport = 8100 # here\n\n[auth] # keys\naccess_ttl_s = 60\ntoken_key = ""\n'
    )
    place.settings_file.write_text(text)
    place.settings_file.chmod(0o600)
    found = load_installation(place, {})
    assert (found.http.port, found.auth.access_ttl_s) == (8100, 60)
    assert found.auth.token_key
    assert found.cluster.key
    kept = place.settings_file.read_text()
    for line in ("# mine", "port = 8100 # here", "[auth] # keys", "access_ttl_s = 60"):
        assert line in kept
    assert 'token_key = ""' not in kept


def test_a_machine_that_joined_makes_no_secret_of_its_own(place: Home):
    load_installation(place, {})
    text = place.settings_file.read_text()
    lacking = "\n".join(line for line in text.splitlines() if not line.startswith("content_key"))
    joined = lacking.replace("[cluster]", '[cluster]\nhead = "10.0.0.1:6379"')
    place.settings_file.write_text(joined)
    with pytest.raises(SettingsInvalid, match=r"lacks auth\.content_key.*fresh invitation"):
        load_installation(place, {})
    assert place.settings_file.read_text() == joined


def test_half_a_key_pair_is_refused(place: Home):
    place.settings_file.write_text('[auth]\ngrant_public_key = "00"\n')
    with pytest.raises(SettingsInvalid, match="one half"):
        load_installation(place, {})


def test_a_file_named_by_the_environment_is_used_as_it_is(place: Home, tmp_path: Path):
    named = tmp_path / "mounted.toml"
    named.write_text("[http]\nport = 9\n")
    named.chmod(0o600)
    with pytest.raises(SettingsInvalid, match="lacks auth"):
        load_installation(place, {"SOCIALFLOW_SETTINGS": str(named)})
    assert named.read_text() == "[http]\nport = 9\n"
    assert not place.settings_file.exists()


def test_reading_makes_nothing(place: Home):
    assert read_installation(place, {}).auth.token_key == ""
    assert not place.settings_file.exists()


def test_what_is_written_for_processes_is_what_they_read(place: Home):
    secrets = make_secrets()
    settings = dataclasses.replace(
        Settings(home=place.root),
        http=HttpSettings(hosts=("127.0.0.1",), public_url='http://a"b\\c\x7f'),
        auth=dataclasses.replace(Settings().auth, **secrets["auth"]),
    )
    write_running_settings(place, settings)
    path = place.running_settings_file
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_settings({"SOCIALFLOW_SETTINGS": str(path)}) == settings
    assert tomllib.loads(render_toml(settings))["http"]["hosts"] == ["127.0.0.1"]


def test_the_manual_names_every_setting_and_shows_no_secret(place: Home):
    page = render_manual()
    assert all(f"| `{name}` |" in page for name, *_rest in list_options())
    found = load_installation(place, {})
    shown = repr(list_values(found))
    assert found.auth.token_key not in shown
    assert found.cluster.key not in shown
    assert ("auth.token_key", "***", "Signs access tokens (made at first start).") in list_values(
        found
    )


def test_secrets_are_masked_and_the_rest_is_not():
    settings = load_settings({"SOCIALFLOW_AUTH_TOKEN_KEY": "hush", "SOCIALFLOW_HTTP_PORT": "9"})
    shown = {name: value for name, value, _sentence in list_values(settings)}
    assert (shown["auth.token_key"], shown["http.port"]) == ("***", "9")
    assert "hush" not in repr(shown)
