"""How a detector fares when images are degraded.

`robustness` measures, `tables` words it.
"""
