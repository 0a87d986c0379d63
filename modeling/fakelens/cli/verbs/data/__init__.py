"""Verbs that read or write data sets."""
