"""One recipe trained and evaluated many times.

`ablation` varies a key, `leave_one_out` the generators that are held out; `tables` writes what was found.
`leave_groups_out` holds out any sources and generators together, which `left_out` finds, and compares recipes by it;
`left_out_tables` writes that.
"""
