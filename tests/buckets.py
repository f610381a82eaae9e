"""A bucket to test against: moto's S3 server in a thread of the test's own process.

It speaks S3 over a real port; its bytes are in memory and end with it.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import urllib.request
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from moto.server import ThreadedMotoServer

from storage.objects import ObjectStore

TIMEOUT_S = 10


@contextlib.contextmanager
def serve_buckets() -> Iterator[str]:
    """Serve S3, and name it in the environment as a provider's own would be; yield its address."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", address)
        environment.setenv("AWS_REGION", "us-east-1")
        environment.setenv("AWS_ACCESS_KEY_ID", "nobody")
        environment.setenv("AWS_SECRET_ACCESS_KEY", secrets.token_hex(16))
        yield address
    server.stop()


def make_bucket(address: str) -> str:
    """Make a bucket; return its name."""
    name = f"b-{secrets.token_hex(6)}"
    request = urllib.request.Request(f"{address}/{name}", method="PUT")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        assert answer.status == 200
    return name


def open_bucket(address: str) -> ObjectStore:
    """Make a bucket and open it as the product does."""
    return ObjectStore.open(f"s3://{make_bucket(address)}")


def list_keys(address: str, name: str) -> set[str]:
    """Ask the server what lies in a bucket, a thousand objects at most."""
    with urllib.request.urlopen(f"{address}/{name}?list-type=2", timeout=TIMEOUT_S) as answer:
        listing = ElementTree.fromstring(answer.read())
    assert listing.findtext("{*}IsTruncated") == "false"
    return {key.text or "" for key in listing.iterfind("{*}Contents/{*}Key")}
