"""Checkpoint and report -> Hub repo: weights, processor, code, card and evaluation results, in one commit."""
