"""The numbers of a detector from scores and labels.

`detection` has the metrics as one `evaluate.Metric`, `bootstrap` their intervals.
"""
