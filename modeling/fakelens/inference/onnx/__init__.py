"""A saved detector -> the same detector in ONNX.

Read `export` first. `check` compares it with the original, `int8` quantises it, `speed` times it.
"""
