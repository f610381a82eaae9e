"""Countries of addresses: by the packaged database, loaded by the first to ask."""

from __future__ import annotations

import pytest

from serve_apps.access.countries import CountryBook

pytestmark = pytest.mark.unit

ADDRESSES = {
    "8.8.8.8": "US",
    "194.25.0.60": "DE",
    "2a01:cb00::1": "FR",
    "2a01:cb00::/64": "FR",
    "10.0.0.1": None,
    "127.0.0.1": None,
    "::1": None,
    "::/64": None,
    "fe80::1%eth0": None,
    "unknown": None,
    "": None,
}


@pytest.fixture(scope="module")
def book() -> CountryBook:
    lent = CountryBook()
    assert lent.find("8.8.8.8") is None, "nobody waits for the database"
    assert lent.wait_loaded(60)
    return lent


@pytest.mark.parametrize(("address", "country"), ADDRESSES.items())
def test_public_addresses_have_a_country(book: CountryBook, address: str, country: str | None):
    assert book.find(address) == country


def test_a_database_that_cannot_be_read_leaves_countries_unknown():
    book = CountryBook("nothing.dat.gz")
    assert not book.wait_loaded(60)
    assert book.find("8.8.8.8") is None
