"""What runs beside a host's rooms: the board of counts and the board of samples."""

from __future__ import annotations

import asyncio

from actors.hosting.core import HostView
from actors.live_room.counts import run_count_board
from actors.live_room.sample_board import run_sample_board


async def run_room_boards(view: HostView) -> None:
    """Run both until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(run_count_board(view), name="board-counts")
        group.create_task(run_sample_board(view), name="board-samples")
