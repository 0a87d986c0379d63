"""Verbs that say what models make of images."""
