"""What must hold of every stored notebook, read off its file."""
