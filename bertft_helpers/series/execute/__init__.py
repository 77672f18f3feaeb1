"""Run the notebooks, store their outputs, compare stored outputs with a fresh run."""

# Seconds that one cell may take. One of A1's took more than 240 on a busy core without AVX-512; the limit is there to
# end cells that hang, so it may be far above.
CELL_TIMEOUT = 900
