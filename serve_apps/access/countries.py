"""Which country an address lies in, by the database that comes with geoip2fast (GeoLite2 data).

The API asks once per told session. Loading takes most of a second and 60 MB, so it is done by the
first to ask, in a thread; until it is there nothing is known, and the next beacon asks again.
"""

from __future__ import annotations

import importlib.resources
import threading
from typing import TYPE_CHECKING

from kit.logs import get_log

if TYPE_CHECKING:
    from geoip2fast import GeoIP2Fast

DATA_FILE = "geoip2fast-ipv6.dat.gz"
log = get_log("countries")


class CountryBook:
    """Countries of addresses."""

    def __init__(self, data_file: str = DATA_FILE) -> None:
        self._data_file = data_file
        self._database: GeoIP2Fast | None = None
        self._loading: threading.Thread | None = None

    def find(self, address: str) -> str | None:
        """Return the country's two letters; None: a private address, or not loaded yet.

        An IPv6 address may be given as its network, as `find_caller` has it.
        """
        if self._database is None:
            self._begin_loading()
            return None
        code: str = self._database.lookup(address.partition("/")[0]).country_code
        return code if len(code) == 2 and code.isalpha() else None

    def wait_loaded(self, timeout_s: float) -> bool:
        """Load now; says whether that was done in time."""
        self._begin_loading()
        assert self._loading is not None, "it has just begun"
        self._loading.join(timeout_s)
        return self._database is not None

    def _begin_loading(self) -> None:
        if self._loading is None:
            self._loading = threading.Thread(target=self._load, name="countries", daemon=True)
            self._loading.start()

    def _load(self) -> None:
        from geoip2fast.geoip2fast import GeoIP2Fast, GeoIPError  # 60 MB: only for who needs it

        path = importlib.resources.files("geoip2fast") / self._data_file
        try:
            self._database = GeoIP2Fast(geoip2fast_data_file=str(path))
        except (GeoIPError, OSError) as error:  # numbers go on without countries
            log.warning("countries.unreadable", error=repr(error)[:200])
