"""Training that survives being stopped: ``fit`` with its state on disk, alone or in several processes."""
