"""What is collected here only where the peer is installed."""

from tests.media.sfu.pion_program import HAS_PION

collect_ignore = [] if HAS_PION else ["test_sfu_pion.py"]
