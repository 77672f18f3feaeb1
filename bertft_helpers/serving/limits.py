"""What a service takes from strangers: how large a request, how many texts, how often."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimit", "Limits", "Rate", "RateLimit"]


@dataclasses.dataclass(frozen=True)
class Limits:
    """``body`` bytes in a request, ``texts`` in it, ``characters`` in a text; ``rate`` requests a second, for all."""

    body: int = 1_000_000
    texts: int = 256
    characters: int = 100_000
    rate: float = 50.0


class Rate:
    """A bucket that holds a second's requests and fills evenly; the clock is in seconds."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self.size = max(1.0, per_second)
        self.left = self.size
        self.clock = clock
        self.last = clock()
        self.lock = threading.Lock()

    def wait(self) -> float:
        """Take one request out and return 0, or return the seconds until there is one."""
        with self.lock:
            now = self.clock()
            self.left = min(self.size, self.left + (now - self.last) * self.per_second)
            self.last = now
            if self.left < 1:
                return (1 - self.left) / self.per_second
            self.left -= 1
            return 0.0


class RateLimit:
    """Answers 429 with ``Retry-After`` when requests to ``path`` come faster than ``rate`` lets them."""

    def __init__(self, app: ASGIApp, rate: Rate, path: str) -> None:
        self.app, self.rate, self.path = app, rate, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait = self.rate.wait() if scope["type"] == "http" and scope["path"] == self.path else 0.0
        if wait:
            seconds = str(int(wait) + 1).encode()
            await _refuse(send, 429, f"more than {self.rate.per_second:g} requests a second", (b"retry-after", seconds))
        else:
            await self.app(scope, receive, send)


class BodyLimit:
    """Answers 413 when a request's body is larger than ``most`` bytes, whatever its header says."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.most:
                reason = f"the request is larger than {self.most:,} bytes; send fewer texts at a time"
                raise HTTPException(413, reason, {"Connection": "close"})
            return message

        await self.app(scope, counted, send)


async def _refuse(send: Send, status: int, reason: str, *headers: tuple[bytes, bytes]) -> None:
    body = json.dumps({"error": reason}).encode()
    kind = (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*kind, *headers]})
    await send({"type": "http.response.body", "body": body})
