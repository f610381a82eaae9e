"""Tables as answers: files for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from fastapi import Response

CSV_TYPE = "text/csv"


def answer_table(name: str, rows: Iterable[Sequence[object]]) -> Response:
    """Answer rows, the titles first, as a file of that name (RFC 4180); None is an empty field."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(text.getvalue(), media_type=CSV_TYPE, headers=headers)
