"""Running, storing, checking and diagnosing the lessons. Needs the ``lab`` extra; the core never imports it."""

import sys

# jsonschema, which reads notebooks, loads this package to check internationalised addresses if it is there. Building
# its grammar takes a second in every process, and notebooks hold none: its absence is allowed for.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # how Python is told that there is none
