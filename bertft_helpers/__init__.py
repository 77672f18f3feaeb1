"""The training and evaluation core of the tutorial series "Fine-tuning BERT in PyTorch".

Import the module that you need, for example ``from bertft_helpers.training import fit``. Importing the package itself
loads nothing else and changes nothing.
"""

__version__ = "0.1.0"
