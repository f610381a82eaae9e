"""The other half of a command, for `test_apart`: does as the request says."""

import os
from typing import Any

from cluster.apart import Tell, serve_apart
from kit.errors import AppError


class Unwilling(AppError):
    code, status, message = "unwilling", 409, "Not today."


def work(request: dict[str, Any], tell: Tell) -> dict[str, int]:
    """Tell what it was told, then answer, refuse or die."""
    print("not for the answer")
    for line in request["lines"]:
        tell(line)
    if request["end"] == "refuse":
        raise Unwilling
    if request["end"] == "die":
        os._exit(7)
    return {"lines": len(request["lines"])}


if __name__ == "__main__":
    serve_apart(work)
