"""One recipe trained and evaluated many times.

`ablation` varies a key, `leave_one_out` the generators that are held out; `tables` writes what was found.
"""
