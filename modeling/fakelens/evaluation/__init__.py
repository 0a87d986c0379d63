"""Checkpoint and data -> scores, numbers, plots, report."""
