"""Text for XML 1.0, which has no way to write some characters, escaped or not. Pure."""

from __future__ import annotations

import re

UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What the production Char leaves out (XML 1.0, section 2.2); a parser refuses the document."""


def drop_unwritable(text: str) -> str:
    """Return the text without the characters that XML 1.0 forbids; it is still to be escaped."""
    return UNWRITABLE.sub("", text)
