"""The same training and prediction in less time, and the choice of what pays on this machine."""
