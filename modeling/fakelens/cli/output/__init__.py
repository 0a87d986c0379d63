"""Rows and models -> a terminal, a pipe, or files.

`printing` writes rows, `drawings` heat maps and figures, `model_tables` the list of models.
"""
