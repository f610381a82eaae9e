"""HTTP to addresses that people name: resolved once, refused when private, connected as checked.

Jobs that fetch something for a person use it. Redirects are followed by hand, each checked anew;
aiohttp never asks a resolver about an address that is a number, so the connector checks those too.
OWASP "Server-Side Request Forgery Prevention"; RFC 6890 for what is not global.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from kit.errors import AppError

if TYPE_CHECKING:
    from aiohttp.tracing import Trace

REDIRECTS_MAX = 5
CONNECT_S = 10.0
IDLE_S = 30.0
URL_CHARS_MAX = 2048
NAT64 = ipaddress.ip_network("64:ff9b::/96")
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class AddressRefused(AppError):
    """The address is not one on the open internet, or not one we speak to."""

    code, status, message = "address_refused", 422, "This address cannot be fetched from."


def check_url(url: str) -> str:
    """Return the URL; raises AddressRefused unless it is plain http or https with a host."""
    parts = urlsplit(url)
    if len(url) > URL_CHARS_MAX or parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressRefused("Only http and https addresses can be fetched from.")
    if parts.username or parts.password:
        raise AddressRefused("An address with a password cannot be fetched from.")
    return url


def is_open(address: str, allowed: Collection[str] = ()) -> bool:
    """Whether an IP address is on the open internet, or one that the operator allows."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found.sixtofour is not None:
            found = found.sixtofour
        elif found in NAT64:
            found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    if str(found) in allowed:
        return True
    return found.is_global and not found.is_multicast


class GuardedResolver(AbstractResolver):
    """Resolves names; one private address among the answers refuses the name."""

    def __init__(self, allowed: Collection[str], inner: AbstractResolver | None = None) -> None:
        self.allowed = allowed
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve once; what is returned is what is connected to."""
        answers = await self._inner.resolve(host, port, family)
        if not all(is_open(answer["host"], self.allowed) for answer in answers):
            raise AddressRefused
        return answers

    async def close(self) -> None:
        """Release the resolver below."""
        await self._inner.close()


class GuardedConnector(aiohttp.TCPConnector):
    """Connects through a GuardedResolver, and checks numbers that need no resolving."""

    def __init__(self, resolver: GuardedResolver) -> None:
        super().__init__(resolver=resolver, force_close=True)
        self._guard = resolver

    async def _resolve_host(
        self, host: str, port: int, traces: Sequence[Trace] | None = None
    ) -> list[ResolveResult]:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            pass
        else:
            if not is_open(host, self._guard.allowed):
                raise AddressRefused
        return await super()._resolve_host(host, port, traces)


@asynccontextmanager
async def fetch(
    url: str, *, allowed: Collection[str] = (), headers: Mapping[str, str] | None = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    """GET an address, following redirects; raises AddressRefused, or aiohttp.ClientError.

    Every one on the way is sent the headers: they name nobody.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=IDLE_S)
    sent = {"Accept-Encoding": "identity", **(headers or {})}
    async with aiohttp.ClientSession(
        connector=GuardedConnector(GuardedResolver(allowed)),
        timeout=timeout,
        trust_env=False,
        auto_decompress=False,
    ) as session:
        for _hop in range(REDIRECTS_MAX + 1):
            try:
                response = await session.get(check_url(url), allow_redirects=False, headers=sent)
            except aiohttp.InvalidURL as error:  # an address written in a way only sockets take
                raise AddressRefused from error
            async with response:
                if response.status not in REDIRECTS:
                    yield response
                    return
                url = urljoin(url, response.headers.get("Location", ""))
        raise AddressRefused("The address leads from one to the next without end.")
