"""Running, storing, checking and diagnosing the lessons. Needs the ``lab`` extra; the core never imports it."""
