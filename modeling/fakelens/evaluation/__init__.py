"""Checkpoint and data -> scores, numbers, plots, report.

Read `run` first: the whole evaluation in order. It scores (`scoring`), reckons (`analysis`, `robustness`, `attacks`),
draws (`plots`) and writes (`report`). `ablation` trains and evaluates one recipe many times.
"""
