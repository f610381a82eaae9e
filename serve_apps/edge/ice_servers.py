"""STUN and TURN servers that WHIP and WHEP answers name (RFC 9725 §4.6: Link, rel=ice-server).

A TURN server gets credentials that end after a day, made from the secret it shares with us
(draft-uberti-behave-turn-rest-00, coturn's `use-auth-secret`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime

from kit.setting_sections import SettingsInvalid

CREDENTIALS_S = 86_400

_URL = re.compile(r"(stuns?|turns?):[A-Za-z0-9.\-\[\]:]+(\?transport=(udp|tcp))?")


class IceServers:
    """The servers from the settings; raises SettingsInvalid for what is no such URL."""

    def __init__(self, urls: Sequence[str], turn_secret: str) -> None:
        for url in urls:
            if not _URL.fullmatch(url):
                raise SettingsInvalid(f"edge.ice_servers: {url!r} is no stun: or turn: URL.")
            if url.startswith("turn") and not turn_secret:
                raise SettingsInvalid("edge.turn_secret: a TURN server needs its shared secret.")
        self._urls = tuple(urls)
        self._secret = turn_secret.encode()

    def list_links(self, user: str, now: datetime) -> list[str]:
        """Return a Link value per server; `user` shows in the TURN server's log."""
        links = []
        for url in self._urls:
            link = f'<{url}>; rel="ice-server"'
            if url.startswith("turn"):
                name = f"{int(now.timestamp()) + CREDENTIALS_S}:{user}"
                digest = hmac.digest(self._secret, name.encode(), hashlib.sha1)
                credential = base64.b64encode(digest).decode()
                link += f'; username="{name}"; credential="{credential}"'
                link += '; credential-type="password"'
            links.append(link)
        return links
