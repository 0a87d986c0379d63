"""A few real steps of a recipe, to see that all goes together.

`dry_run` runs them with what `timing` measures, `report` prints them.
"""
