"""The studio and the page behind firewalls that let nothing out but a TURN server's port."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from serve_apps.edge.addresses import find_candidate_ips
from serve_apps.edge.ice_servers import IceServers
from tests.e2e.people import fill_registration, go_live, make_name, wait_for_picture
from tests.product import Product, await_true
from tests.serve_apps.edge.coturn import HERE, run_coturn

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]
SECRET = "shared with the server"

# The browser uses relayed addresses alone, and answers of edges name a server as they do where the
# settings have one.
FIREWALL = """
window.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(configuration) {
    super({...configuration, iceTransportPolicy: 'relay'});
    window.peers.push(this);
  }
};
const fetchNow = window.fetch;
window.fetch = async (...words) => {
  const answer = await fetchNow(...words);
  if (!/[/]whe?i?p/.test(answer.url) || answer.status !== 201) return answer;
  const headers = new Headers(answer.headers);
  headers.append('Link', LINK);
  Object.defineProperty(answer, 'headers', {value: headers});
  return answer;
};
"""
READ_WAYS = """
async () => {
  const found = [];
  for (const peer of window.peers.filter((one) => one.connectionState === 'connected')) {
    const stats = await peer.getStats();
    for (const pair of stats.values()) {
      if (pair.type !== 'candidate-pair' || !pair.nominated) continue;
      const {candidateType, relayProtocol} = stats.get(pair.localCandidateId);
      found.push([candidateType, relayProtocol]);
    }
  }
  return found;
}
"""


@pytest.fixture
def firewall(product: Product, tmp_path: Path) -> Iterator[str]:
    """Run a TURN server; lends what a page behind the firewall begins with."""
    edges_at = find_candidate_ips(product.settings.edge)[0]
    with run_coturn(SECRET, tmp_path, edges_at) as port:
        url = f"turn:{HERE}:{port}?transport=tcp"
        (link,) = IceServers([url], SECRET).list_links("page", datetime.now(UTC))
        yield f"const LINK = {json.dumps(link)};\n{FIREWALL}"


def test_a_camera_and_a_viewer_that_are_let_no_udp_out_go_through_the_turn_server(
    open_page: OpenPage, product: Product, firewall: str
) -> None:
    streamer = open_page("/register", init_script=firewall)
    fill_registration(streamer)
    address = go_live(streamer, product, f"Firewall {make_name()}")
    viewer = open_page(address, init_script=firewall)
    took_ms = wait_for_picture(viewer)
    player = viewer.locator(".live-video")
    expect(player).to_have_attribute("data-way", "webrtc")
    print(f"first frame through TURN after {took_ms:.0f} ms")
    for page in (streamer, viewer):
        await_true(lambda p=page: p.evaluate(READ_WAYS) == [["relay", "tcp"]], "it is relayed")
