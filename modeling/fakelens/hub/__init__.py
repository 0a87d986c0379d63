"""Checkpoint and report -> Hub repo: weights, processor, code, card and evaluation results, in one commit.

Read `publish` first (which files), then `push` (the commit) and `preflight` (the last look at them). `facts` reads
models and reports, `card` writes the card, `shipped` and `space` publish the model inside this package and the app,
`hub_errors` words what the Hub refuses.
"""
