"""Folders of models: loaded whole or not at all, with a manifest and a card."""
