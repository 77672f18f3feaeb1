"""``python -m bertft_helpers`` is the command ``bertft``."""

from bertft_helpers.cli.main import app

app(prog_name="bertft")
