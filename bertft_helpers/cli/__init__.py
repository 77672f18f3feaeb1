"""The command ``bertft``: options and words; the work is done elsewhere."""
