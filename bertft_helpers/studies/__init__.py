"""Grids of settings times many seeds, resumable, one stored row a run, and what may be concluded from them."""
