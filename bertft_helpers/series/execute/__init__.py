"""Run the notebooks, store their outputs, compare stored outputs with a fresh run."""
