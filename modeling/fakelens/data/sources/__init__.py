"""A SOURCE string -> a stream of labelled, undecoded rows.

Read `opening` first, then the kinds of sources in `formats`, and what all become, `rows`. `reading` runs through them,
`skips` counts what could not be used. `vocabulary` knows the words for classes, `label_rules` adds what a user says of
them, `columns` finds the columns of a table; `labels` are the two classes, `patterns` picks sources by name.
"""
