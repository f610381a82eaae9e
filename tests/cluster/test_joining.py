"""Invitations: what they hold, who can accept one, and why joining is refused."""

import dataclasses
import json
import ssl
import tomllib
from pathlib import Path

import pytest
from cryptography import x509

from cluster.drain import choose_actors
from cluster.home import Home, prepare_home
from cluster.joining import (
    InvitationRefused,
    accept,
    check_surroundings,
    count_promised,
    invite,
    list_invited,
    withdraw_invitation,
)
from cluster.keys import ClusterKeys, KeysMissing, ensure_keys
from cluster.records import write_private
from cluster.settings_files import load_installation, write_running_settings
from cluster.site import Site
from cluster.topology import count_connections, list_actors, list_ports, list_resources
from kit.setting_sections import ClusterSettings, ObjectSettings
from kit.settings import Settings

pytestmark = pytest.mark.unit


def make_head(root: Path, **cluster: str) -> Home:
    """Prepare the home of a head as a running product leaves it."""
    home = Home(root)
    prepare_home(home)
    settings = load_installation(home, {})
    addresses = {"ray_address": "127.0.0.1:6379", **cluster}
    write_running_settings(
        home,
        dataclasses.replace(
            settings,
            database=dataclasses.replace(settings.database, url="postgresql://u:p@127.0.0.1:5/d"),
            cache=dataclasses.replace(settings.cache, url="redis://127.0.0.1:6/0"),
            cluster=dataclasses.replace(settings.cluster, **addresses),
        ),
    )
    return home


@pytest.fixture
def head(tmp_path: Path) -> Home:
    return make_head(tmp_path / "head")


@pytest.fixture
def member(tmp_path: Path) -> Home:
    home = Home(tmp_path / "member")
    prepare_home(home)
    return home


@pytest.fixture
def invitation(head: Home, tmp_path: Path) -> Path:
    file = tmp_path / "b.toml"
    write_private(file, invite(head, "b", "127.0.0.2"))
    return file


def test_an_accepted_invitation_makes_a_node_of_the_same_installation(
    head: Home, member: Home, invitation: Path
):
    accept(member, invitation)
    found, ours = load_installation(member, {}), load_installation(head, {})
    assert found.home == member.root
    assert (found.cluster.node, found.cluster.host) == ("b", "127.0.0.2")
    assert (found.cluster.head, found.cluster.ray_address) == ("127.0.0.1:6379", "")
    assert found.auth == ours.auth
    assert found.cluster.key == ours.cluster.key
    assert [part.name for part in list_actors(found)] == ["host-0@b", "host-1@b", "edge-0@b"]
    assert list_resources(found)["at:b"] == 1.0
    assert {need.host for need in list_ports(found)} == {"127.0.0.2", "0.0.0.0"}
    keys = ensure_keys(member.keys, found.cluster)
    theirs = ClusterKeys.within(head.keys)
    assert keys.token.read_text() == theirs.token.read_text()
    assert keys.authority.read_text() == theirs.authority.read_text()
    assert keys.certificate.read_text() != theirs.certificate.read_text()
    for path in (member.settings_file, *keys.list_paths()):
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_certificate_is_for_the_new_address_and_the_authority_stays_at_home(
    head: Home, member: Home, invitation: Path
):
    text = invitation.read_text()
    assert (head.keys / "ca.key").read_text() not in text
    accept(member, invitation)
    keys = ClusterKeys.within(member.keys)
    certificate = x509.load_pem_x509_certificate(keys.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "127.0.0.2" in {str(name.value) for name in names}
    assert not (member.keys / "ca.key").exists()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(keys.authority)
    context.load_cert_chain(keys.certificate, keys.private_key)


def test_who_was_invited_makes_the_head_look_often_for_lost_nodes(head: Home, invitation: Path):
    assert json.loads((head.invitations / "b.json").read_text()) == {
        "name": "b",
        "host": "127.0.0.2",
        "connections": 38,
    }
    site = make_site(head)
    assert site.is_brisk
    assert site.environment["RAY_health_check_failure_threshold"] == "4"
    # A process that ended refuses each check at once; a starved one has this long for an answer.
    assert site.environment["RAY_health_check_timeout_ms"] == "5000"


def test_an_invitation_counts_the_connections_of_the_head_and_of_everybody_else_invited(
    head: Home, invitation: Path
):
    def read_elsewhere(text: str) -> int:
        return int(tomllib.loads(text)["cluster"]["connections_elsewhere"])

    alone = count_connections(Settings())
    assert read_elsewhere(invitation.read_text()) == alone
    assert read_elsewhere(invite(head, "c", "127.0.0.3")) == alone + 38
    assert read_elsewhere(invite(head, "b", "127.0.0.2")) == alone + 38  # that of c, not its own
    assert count_promised(head) == 2 * 38


def test_one_node_alone_is_not_watched_so_closely(head: Home):
    site = make_site(head)
    assert not site.is_brisk
    assert not [name for name in site.environment if "health_check" in name]


def make_site(home: Home) -> Site:
    settings = load_installation(home, {})
    keys = ensure_keys(home.keys, settings.cluster)
    return Site(home, settings, keys, {}, None, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "B", "two words", "../b", "-b", "b" * 40])
def test_a_name_that_could_not_be_written_everywhere_is_refused(head: Home, name: str):
    with pytest.raises(InvitationRefused, match="name"):
        invite(head, name, "127.0.0.2")


def test_nobody_is_invited_to_a_product_that_does_not_run(member: Home):
    with pytest.raises(InvitationRefused, match="socialflow up"):
        invite(member, "b", "127.0.0.2")


def test_a_machine_elsewhere_is_not_invited_to_servers_it_cannot_reach(head: Home):
    with pytest.raises(InvitationRefused) as refused:
        invite(head, "b", "10.0.0.2")
    for what in ("database.url", "cache.url", "cluster.host"):
        assert what in refused.value.text


def test_a_member_invites_nobody(tmp_path: Path):
    with pytest.raises(InvitationRefused, match="head"):
        invite(make_head(tmp_path / "m", head="127.0.0.1:6379"), "c", "127.0.0.3")


def test_an_invitation_others_can_read_is_refused(member: Home, invitation: Path):
    invitation.chmod(0o644)
    with pytest.raises(InvitationRefused, match="chmod 600"):
        accept(member, invitation)
    assert not member.settings_file.exists()


def test_a_home_of_another_installation_is_left_alone(
    tmp_path: Path, invitation: Path, member: Home
):
    other = make_head(tmp_path / "other")
    before = other.settings_file.read_text()
    with pytest.raises(InvitationRefused, match="another installation"):
        accept(other, invitation)
    assert other.settings_file.read_text() == before
    accept(member, invitation)
    accept(member, invitation)  # of the same installation: a renewed one is welcome


@pytest.mark.parametrize("text", ["", "[cluster]\nkey = 'x'\n", "not toml"])
def test_what_is_no_invitation_is_refused(member: Home, tmp_path: Path, text: str):
    file = tmp_path / "x.toml"
    write_private(file, text)
    with pytest.raises(InvitationRefused):
        accept(member, file)


def test_a_member_without_its_keys_asks_for_a_new_invitation(member: Home, invitation: Path):
    accept(member, invitation)
    (member.keys / "node.key").unlink()
    with pytest.raises(KeysMissing, match=r"node\.key"):
        ensure_keys(member.keys, load_installation(member, {}).cluster)


def test_a_folder_that_is_not_shared_keeps_a_machine_out(
    head: Home, member: Home, invitation: Path, tmp_path: Path
):
    accept(member, invitation)
    settings = load_installation(member, {})
    assert settings.objects.url == f"file://{head.root.resolve()}/objects"
    (tmp_path / "own").mkdir()
    apart = dataclasses.replace(settings, objects=ObjectSettings(f"file://{tmp_path}/own"))
    with pytest.raises(InvitationRefused, match="not shared"):
        check_surroundings(apart)


def test_a_forgotten_machine_is_promised_nothing(head: Home):
    invite(head, "b", "127.0.0.2")
    invite(head, "c", "127.0.0.3")
    of_both = count_promised(head)
    assert withdraw_invitation(head, "b")
    assert (list_invited(head), count_promised(head)) == (["c"], of_both // 2)
    assert not withdraw_invitation(head, "b")


def test_a_bare_head_carries_nothing_and_holds_no_port():
    bare = Settings(
        http=dataclasses.replace(Settings().http, replicas=0),
        edge=dataclasses.replace(Settings().edge, count=0),
        hosts=dataclasses.replace(Settings().hosts, count=0),
        cluster=ClusterSettings(node="h", runners=0, media_workers=0),
    )
    assert list_actors(bare) == ()
    assert list_ports(bare) == []
    assert list_resources(bare) == {"at:h": 1.0}


def test_draining_means_one_actor_or_all_of_a_node_with_the_edges_first():
    names = ["host-0", "host-0@b", "host-1@b", "edge-0@b", "edge-0", "runner", "SERVE_CONTROLLER"]
    assert choose_actors("host-0", names, "h") == ["host-0"]
    assert choose_actors("b", names, "h") == ["edge-0@b", "host-0@b", "host-1@b"]
    assert choose_actors("h", names, "h") == ["edge-0", "runner", "host-0"]
    assert choose_actors("nobody", names, "h") == []
