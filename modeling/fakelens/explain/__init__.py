"""Checkpoint + image -> what speaks for its verdict."""
