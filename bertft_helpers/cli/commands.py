"""What holds for all commands as they are typed: ``--debug`` anywhere, and JSON also about what is wrongly typed."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from bertft_helpers.cli.console import BAD_USAGE, shown, stop

UsageError: Any = typer.BadParameter.__bases__[0]  # typer has it under another name in each version


class Commands(TyperGroup):
    """The commands of ``bertft``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take ``--debug`` from wherever it stands, but for what follows ``--``."""
        end = args.index("--") if "--" in args else len(args)
        shown.tracebacks = "--debug" in args[:end]
        kept = [word for word in args[:end] if word != "--debug"] + args[end:]
        ctx.meta["words"] = list(kept)
        return super().parse_args(ctx, kept)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named; a wrong option is told to programs as every other error is."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            if "--json" not in ctx.meta["words"]:
                raise
            stop(error.format_message(), BAD_USAGE, as_json=True)
