"""The plots of reports and training runs.

`plots` has the style and most plots, `curve_data` the numbers behind them; `curves` and `robustness` draw over
something that was varied.
"""
