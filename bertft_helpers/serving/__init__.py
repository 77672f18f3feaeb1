"""A trained classifier behind HTTP, and a page to try it."""
