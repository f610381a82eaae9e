"""PATCH on a session: candidates that trickle in, and ICE restarts (RFC 9725 §4.3, RFC 8840).

Called by `server`. We are ICE-lite: checks tell us a peer's addresses, so candidates are read past;
what counts in a fragment is whether its credentials are new.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from media.sfu.answer import LocalTransport, list_candidates
from media.sfu.codecs import Choice
from media.sfu.errors import EtagDiffers, EtagMissing, FragmentMalformed
from media.sfu.ice import IceLite
from media.sfu.sdp import PASSWORD, UFRAG, Offer
from media.sfu.session import PeerSession

FRAGMENT_CHARS_MAX = 16_384
LINES_MAX = 256

_LINE = re.compile(r"[a-z]=[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Fragment:
    """The credentials a fragment names; both empty when it names none."""

    ufrag: str
    password: str


@dataclass(frozen=True, slots=True)
class IceRestart:
    """Our end of a restarted ICE session: the fragment to answer with, and its new tag."""

    fragment: str
    etag: str


def make_etag() -> str:
    """Return a fresh strong entity tag for an ICE session."""
    return f'"{secrets.token_hex(8)}"'


def apply_fragment(session: PeerSession, ice: IceLite, if_match: str | None, text: str) -> bool:
    """Take a PATCH and return whether it restarted ICE; raises what reading and checking raise."""
    fragment = parse_fragment(text)
    is_restart = fragment.ufrag not in ("", session.agent.newest.remote_ufrag)
    check_etag(if_match, session.etag, is_restart=is_restart)
    if is_restart:
        ice.restart_agent(session.agent, fragment.ufrag, fragment.password)
        session.etag = make_etag()
    return is_restart


def build_restart(session: PeerSession, transport: LocalTransport) -> IceRestart:
    """Return our end of a session that was restarted."""
    return IceRestart(build_fragment(session.section, transport), session.etag)


def parse_fragment(text: str) -> Fragment:
    """Read a fragment (RFC 8840 §9); raises FragmentMalformed with a reason."""
    if len(text) > FRAGMENT_CHARS_MAX:
        raise FragmentMalformed(reason="too_long")
    lines = [line for line in re.split(r"\r?\n", text) if line]
    if not lines or len(lines) > LINES_MAX:
        raise FragmentMalformed(reason="line_count")
    if not all(_LINE.fullmatch(line) for line in lines):
        raise FragmentMalformed(reason="syntax")
    ufrags = set(_list_values(lines, "ice-ufrag"))
    passwords = set(_list_values(lines, "ice-pwd"))
    if len(ufrags) != len(passwords) or len(ufrags) > 1:
        raise FragmentMalformed(reason="ice_credentials")
    fragment = Fragment("".join(ufrags), "".join(passwords))
    if ufrags and not (UFRAG.fullmatch(fragment.ufrag) and PASSWORD.fullmatch(fragment.password)):
        raise FragmentMalformed(reason="ice_credentials")
    return fragment


def check_etag(if_match: str | None, etag: str, *, is_restart: bool) -> None:
    """Refuse a PATCH for another ICE session; raises EtagMissing, EtagDiffers (RFC 9725 §4.3.1).

    A restart may say `*`: its sender cannot know whether an earlier one was taken.
    """
    if if_match is None or not if_match.strip():
        raise EtagMissing
    tags = [tag.strip() for tag in if_match.split(",")]
    if etag not in tags and not (is_restart and tags == ["*"]):
        raise EtagDiffers


def describe_section(offer: Offer, chosen: Choice) -> str:
    """Return the lines that name the accepted section a restart's credentials hold for."""
    accepted = {id(media.section): media for media in chosen.values()}
    section = next(section for section in offer.media if id(section) in accepted)
    codec = accepted[id(section)].codec
    mid = f"a=mid:{section.mid}\r\n" if section.mid else ""
    return f"m={section.kind} 9 {section.protocol} {codec.payload_type}\r\n{mid}"


def build_fragment(section: str, transport: LocalTransport) -> str:
    """Write the answer to a restart: new credentials, and the candidates, which are as before."""
    lines = [
        f"a=ice-ufrag:{transport.ice_ufrag}",
        f"a=ice-pwd:{transport.ice_password}",
        *list_candidates(transport.candidate_ips, transport.port),
    ]
    return "a=ice-lite\r\n" + section + "\r\n".join(lines) + "\r\n"


def _list_values(lines: list[str], attribute: str) -> Iterator[str]:
    prefix = f"a={attribute}:"
    for line in lines:
        if line.startswith(prefix):
            yield line.removeprefix(prefix).strip()
