"""The website and the book, made from the stored notebooks."""
