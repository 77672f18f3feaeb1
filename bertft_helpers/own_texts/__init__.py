"""``bertft train``, ``evaluate`` and ``predict`` as a library: a classifier for somebody's own texts."""
