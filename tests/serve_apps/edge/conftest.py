"""What is collected here only where the peer is installed, or the machine lets us."""

from tests.serve_apps.edge.coturn import HAS_COTURN
from tests.serve_apps.edge.namespaces import can_make_namespaces

collect_ignore = [] if HAS_COTURN else ["test_turn.py"]
collect_ignore += [] if can_make_namespaces() else ["test_namespaces.py"]
