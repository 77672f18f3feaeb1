"""Several labels for one text: the parts of a run that differ from those for one label."""
