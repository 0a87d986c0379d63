"""A SOURCE string -> a stream of labelled, undecoded rows.

Read `opening` first, then the two kinds of sources, `folders` and `tables`, and what both become, `rows`. `reading`
runs through them, `skips` counts what could not be used; `labels` knows the names of classes.
"""
