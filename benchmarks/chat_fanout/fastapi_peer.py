"""The peer from the tutorial: a plain FastAPI broadcast, one `await` after another."""

from __future__ import annotations

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
LISTENERS: set[WebSocket] = set()


@app.websocket("/sub")
async def listen(socket: WebSocket) -> None:
    """Keep a listener until it leaves."""
    await socket.accept()
    LISTENERS.add(socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        LISTENERS.discard(socket)


@app.websocket("/pub")
async def speak(socket: WebSocket) -> None:
    """Hand on what a speaker says."""
    await socket.accept()
    try:
        while True:
            text = await socket.receive_text()
            for listener in list(LISTENERS):
                await listener.send_text(text)
    except WebSocketDisconnect:
        pass
