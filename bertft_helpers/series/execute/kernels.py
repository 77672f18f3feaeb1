"""The kernel that lessons run in: this very interpreter, in a quiet environment."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bertft_helpers.files import scratch_folder

# Progress bars and warnings about them would be stored as outputs and differ from run to run.
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_VERBOSITY": "error",  # its reports name this machine's folders; lessons print what they say of them
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONHASHSEED": "0",
}
# Freed memory is kept for the next step, as by speed.throughput.keep_freed_memory: a training step of short texts has
# none of its 38,000 page faults and takes a seventh less. No number changes; other C libraries than glibc do not look.
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "1073741824"}


@contextmanager
def kernel_environment(threads: int | None = None) -> Iterator[dict[str, str]]:
    """Environment variables in which the kernel ``python3`` is the running interpreter, with so many ``threads``.

    A kernel of that name may be registered on the machine and point to another Python; a folder on ``JUPYTER_PATH``
    comes before all of those.
    """
    with scratch_folder("kernel") as home:
        spec = home / "kernels" / "python3" / "kernel.json"
        spec.parent.mkdir(parents=True)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
        paths = [str(home), *filter(None, [os.environ.get("JUPYTER_PATH")])]
        count = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        yield {**os.environ, **QUIET, **KEPT_MEMORY, **count, "JUPYTER_PATH": os.pathsep.join(paths)}
