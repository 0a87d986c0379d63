"""Checkpoint + image -> what speaks for its verdict.

`maps` shows where in an image it lies, `figure` draws a verdict with all that belongs to it, `stability` asks whether
it survives saving and sharing.
"""
