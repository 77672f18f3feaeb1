"""The committed results of the studies, one CSV each; installed as ``bertft_helpers.study_results``."""
