"""What is collected here only where the peer is installed."""

import shutil

from cluster.bootstrap import PION

HAS_PION = shutil.which("go") is not None and PION.is_dir()
collect_ignore = [] if HAS_PION else ["test_sfu_pion.py"]
"""Pion comes with golang-go and golang-github-pion-webrtc.v3-dev of Debian (`make test`)."""
