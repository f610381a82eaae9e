"""What is collected here only where the peer is installed."""

from tests.serve_apps.edge.coturn import HAS_COTURN

collect_ignore = [] if HAS_COTURN else ["test_turn.py"]
