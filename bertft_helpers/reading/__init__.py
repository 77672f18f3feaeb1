"""Texts and labels as people have them: every kind of file read right, repaired aloud, or refused."""
