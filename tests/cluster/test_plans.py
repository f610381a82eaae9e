"""What is decided before anything starts: homes, parts, ports, variables, pauses."""

import os
import platform
from pathlib import Path

import pytest

from cluster.board import Board, find_board
from cluster.environment import PROJECT_ROOT, make_environment
from cluster.home import Home, decide_home, prepare_home
from cluster.keys import ClusterKeys, ensure_keys
from cluster.launch import Flags, apply_flags
from cluster.port_holders import PortHeld
from cluster.records import make_record
from cluster.topology import (
    Kind,
    PortNeed,
    count_connections,
    get_api_url,
    get_edge_url,
    list_actors,
    list_ports,
    list_resources,
    name_api,
)
from cluster.watch import Pause
from kit.setting_sections import ClusterSettings, EdgeSettings, HostSettings, HttpSettings
from kit.settings import Settings
from storage.embedded.ports import PortHolder

pytestmark = pytest.mark.unit

KEYS = ClusterKeys(Path("/k/token"), Path("/k/ca"), Path("/k/cert"), Path("/k/key"))


def test_a_given_home_is_where_it_says(tmp_path: Path):
    assert decide_home(Path("data"), tmp_path) == Home((tmp_path / "data").resolve())
    assert decide_home(tmp_path / "x", Path("/")) == Home(tmp_path / "x")


def test_the_default_home_lies_in_the_working_folder_or_says_where_it_moved(tmp_path: Path):
    tmp_path.chmod(0o700)
    found = decide_home(Path(".socialflow"), tmp_path)
    if os.geteuid() == 0:
        # Nobody else enters tmp_path, and root's database runs as somebody else.
        assert found.moved_from == tmp_path.resolve() / ".socialflow"
        assert found.root.parent == Path("/var/lib/socialflow")
        assert found.root.name.startswith(tmp_path.name)
    else:
        assert found == Home(tmp_path.resolve() / ".socialflow")


def test_ray_sockets_fit_into_107_bytes_however_deep_the_home(tmp_path: Path):
    place = Home(tmp_path / ("deep" * 40))
    session = "session_2026-12-31_23-59-59_999999_4194304"
    longest = place.ray_folder / session / "sockets" / "plasma_store.99"
    assert len(os.fsencode(longest)) <= 107


def test_prepared_folders_are_private(tmp_path: Path):
    place = Home(tmp_path / "a" / "home")
    prepare_home(place)
    prepare_home(place)
    for folder in (place.run, place.logs, place.keys):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert place.root.stat().st_mode & 0o066 == 0


def test_parts_follow_the_settings():
    settings = Settings(hosts=HostSettings(count=3), edge=EdgeSettings(count=2))
    actors = list_actors(settings)
    assert [part.name for part in actors] == [
        *("host-0", "host-1", "host-2", "runner", "edge-0", "edge-1"),
    ]
    assert actors[0].argument == "host-0"
    assert actors[-1].argument == 1
    assert list_resources(settings) == {
        f"at:{platform.node()}": 1.0,
        **{"host": 3.0, "edge": 2.0, "api": 2.0, "media": 1.0},
    }
    assert {Kind.HOST, Kind.RUNNER, Kind.EDGE} == {part.kind for part in actors}


def test_away_from_the_head_actors_and_application_carry_the_nodes_name():
    settings = Settings(cluster=ClusterSettings(head="10.0.0.1:6379", node="b", runners=0))
    assert [part.name for part in list_actors(settings)] == ["host-0@b", "host-1@b", "edge-0@b"]
    assert (name_api(settings), name_api(Settings())) == ("api@b", "api")


def test_ports_of_further_edges_are_ten_apart():
    settings = Settings(edge=EdgeSettings(count=2))
    assert [(need.host, need.port, need.kind) for need in list_ports(settings)] == [
        *(("127.0.0.1", 8000, "tcp"), ("::1", 8000, "tcp")),
        *(("127.0.0.1", 8001, "tcp"), ("0.0.0.0", 8002, "udp")),
        *(("127.0.0.1", 8011, "tcp"), ("0.0.0.0", 8012, "udp")),
        ("127.0.0.1", 1935, "tcp"),
    ]
    assert get_edge_url(settings, 1) == "http://127.0.0.1:8011"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
    ],
)
def test_the_api_is_asked_at_an_address_that_can_be_reached(host: str, url: str):
    assert get_api_url(Settings(http=HttpSettings(hosts=(host,)))) == url


def test_the_public_address_follows_the_port_unless_it_was_chosen():
    assert apply_flags(Settings(), Flags(port=81)).http.public_url == "http://localhost:81"
    chosen = Settings(http=HttpSettings(public_url="https://flow.example"))
    assert apply_flags(chosen, Flags(port=81)).http.public_url == "https://flow.example"


def test_processes_get_a_path_to_the_settings_and_no_value_of_them():
    inherited = {
        "PATH": "/bin",
        "PYTHONPATH": "/mine",
        "SOCIALFLOW_AUTH_TOKEN_KEY": "secret",
        "DATABASE_URL": "postgresql://u:secret@h/d",
        "RAY_AUTH_MODE": "disabled",
        "RAY_ADDRESS": "stray:1",
    }
    place = Home(Path("/h"))
    found = make_environment(place, Settings(), KEYS, inherited)
    assert found["SOCIALFLOW_SETTINGS"] == "/h/run/settings.toml"
    assert found["PYTHONPATH"].split(os.pathsep) == ["/mine", str(PROJECT_ROOT)]
    assert found["PATH"] == "/bin"
    assert "secret" not in " ".join(found.values())
    assert (found["RAY_AUTH_MODE"], found["RAY_USE_TLS"]) == ("token", "1")
    assert found["RAY_AUTH_TOKEN_PATH"] == "/k/token"
    assert "RAY_ADDRESS" not in found


def test_a_cluster_that_is_joined_keeps_its_own_variables_of_ray():
    settings = Settings(cluster=ClusterSettings(ray_address="head:6379"))
    found = make_environment(Home(Path("/h")), settings, KEYS, {"RAY_AUTH_TOKEN_PATH": "/theirs"})
    assert found["RAY_AUTH_TOKEN_PATH"] == "/theirs"
    assert "RAY_TLS_SERVER_KEY" not in found


def test_keys_are_made_once_and_private(tmp_path: Path):
    keys = ensure_keys(tmp_path, ClusterSettings())
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == [
        *("ca.key", "ca.pem", "node.key", "node.pem", "ray.token"),
    ]
    before = [path.read_text() for path in files]
    assert ensure_keys(tmp_path, ClusterSettings()) == keys
    assert [path.read_text() for path in files] == before
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert "PRIVATE KEY" in keys.private_key.read_text()
    assert "PRIVATE KEY" not in keys.authority.read_text() + keys.certificate.read_text()


def test_a_certificate_is_made_anew_for_another_address_or_authority(tmp_path: Path):
    keys = ensure_keys(tmp_path, ClusterSettings())
    first, authority = keys.certificate.read_text(), keys.authority.read_text()
    ensure_keys(tmp_path, ClusterSettings(host="10.0.0.2"))
    second = keys.certificate.read_text()
    assert second != first
    assert keys.authority.read_text() == authority
    ensure_keys(tmp_path, ClusterSettings(host="10.0.0.2"))
    assert keys.certificate.read_text() == second
    (tmp_path / "ca.key").unlink()
    ensure_keys(tmp_path, ClusterSettings(host="10.0.0.2"))
    assert keys.authority.read_text() != authority
    assert keys.certificate.read_text() != second


@pytest.mark.parametrize(
    ("what", "kind", "way"),
    [
        ("the page and the API", "tcp", "SOCIALFLOW_HTTP_PORT"),
        ("edge 0", "tcp", "SOCIALFLOW_EDGE_PORT"),
        ("WebRTC of edge 0", "udp", "SOCIALFLOW_EDGE_UDP_PORT"),
    ],
)
def test_a_taken_port_names_its_holder_and_the_way_out(what: str, kind: str, way: str):
    holder = PortHolder("ada", os.getpid(), "python")
    need = PortNeed(what, "127.0.0.1", 8000, kind)
    error = PortHeld.describe(need, holder)
    assert f"Port 8000/{kind} for {what} is taken by process {os.getpid()} (" in error.text
    assert way in error.text
    hidden = PortHeld.describe(need, PortHolder("ada", None, ""))
    assert "a program of user ada" in hidden.text
    assert "another program" in PortHeld.describe(need, None).text


def test_pauses_grow_while_something_keeps_ending_and_vanish_when_it_lived():
    pause = Pause()
    waits = [pause.decide_wait_s(100.0 + second) for second in range(12)]
    assert waits[0] == 0.0
    assert waits[1:4] == [0.2, 0.4, 0.8]
    assert waits == sorted(waits)
    assert waits[-1] == 30.0
    assert pause.decide_wait_s(1000.0) == 0.0


def test_the_board_notices_changes_keeps_faults_and_is_read_back(tmp_path: Path):
    supervisor = make_record("supervisor", os.getpid())
    assert supervisor is not None
    board = Board(tmp_path / "status.json", supervisor)
    assert board.set_part("host-0", "host", "starting") is True
    assert board.set_part("host-0", "host", "running", pid=os.getpid()) is True
    assert board.set_part("host-0", "host", "running", pid=os.getpid()) is False
    assert board.set_part("host-0", "host", "running", pid=1) is True
    for number in range(60):
        board.add_fault("host-0", f"fault {number}")
    board.write()
    found = find_board(tmp_path / "status.json")
    assert found is not None
    assert found["parts"][0]["pid"] == 1
    assert len(found["faults"]) == 50
    assert found["faults"][-1]["text"] == "fault 59"
    assert find_board(tmp_path / "none.json") is None


def test_the_connections_of_all_pools_and_listeners_are_counted():
    assert count_connections(Settings()) == 2 * (10 + 1) + 2 * 6 + (2 + 2) + (6 + 4)
    assert count_connections(Settings(hosts=HostSettings(count=5))) == 48 + 3 * 6
