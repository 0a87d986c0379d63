"""Verbs that take a model elsewhere, and the demo of it all."""
