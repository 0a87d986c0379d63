"""A detector's scores for every image of a split, kept as they are made.

Read `predict` first. `row_scorer` scores a few rows, `ranks` shares rows among processes, `prediction_cache` keeps
scores and other results; `controls` are the two detectors that look at no image. `score` is for images without labels,
whose rows `score_shards` writes.
"""
