"""Run the notebooks, store their outputs, compare stored outputs with a fresh run."""

# Seconds that one cell may take. The longest trains for 100 of them on one core with AVX-512, for more than 240 on a
# busy one without; the limit ends cells that hang, so it may be far above.
CELL_TIMEOUT = 900
