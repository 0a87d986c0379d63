"""Verbs that make a model, or change one."""
