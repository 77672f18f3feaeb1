"""The command that puts a trained classifier behind HTTP: ``bertft serve``."""

from __future__ import annotations

import contextlib
import ipaddress
from pathlib import Path
from typing import Annotated

import typer

from bertft_helpers.cli.console import reported, say
from bertft_helpers.cli.own_texts import Device, Explain, MinPrecision, Model, Precision
from bertft_helpers.model_files.contents import require_folder

__all__ = ["serve"]

_WAITING = 64  # requests that are held at once; further ones get 503


@reported()
def serve(
    model: Model,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    rate: Annotated[float, typer.Option(min=0.1, help="Requests a second that are answered.")] = 50.0,
    max_texts: Annotated[int, typer.Option("--max-texts", min=1, help="Texts in one request.")] = 256,
    device: Device = None,
    precision: Precision = "float32",
    min_precision: MinPrecision = None,
    explain: Explain = False,
) -> None:
    """Answer over HTTP with a trained classifier: a page to try it, and /predict for programs."""
    require_folder(model)  # before the libraries, which take seconds
    import socket

    import uvicorn

    from bertft_helpers.own_texts.trained import open_trained
    from bertft_helpers.runtime import quiet_libraries
    from bertft_helpers.serving.app import build_app
    from bertft_helpers.serving.limits import Limits

    quiet_libraries()
    classifier = open_trained(model, device, precision, min_precision, explain=explain).classifier
    for note in classifier.notes:
        say(f"note: {note}")
    listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    port = listening.getsockname()[1]
    at_home = _is_loopback(host)
    hosts = ["127.0.0.1", "localhost", "[::1]", host] if at_home else ["*"]
    app = build_app(classifier, Path(model).resolve().name, Limits(texts=max_texts, rate=rate), hosts)
    say(f"http://{f'[{host}]' if ':' in host else host}:{port} answers; Ctrl-C stops it")
    if not at_home:
        say(
            "note: whoever reaches this machine can send texts; nothing is encrypted and nobody is asked for a password"
        )
    config = uvicorn.Config(
        app,
        limit_concurrency=_WAITING,
        log_level="warning",
        timeout_keep_alive=5,
        server_header=False,
        lifespan="off",  # there is nothing to begin or end with, and FastAPI would look for a receiver of traces
    )
    with contextlib.suppress(KeyboardInterrupt):  # to be stopped is how a service ends well
        uvicorn.Server(config).run(sockets=[listening])
    say("stopped")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
