"""How a detector fares under attack.

`adversarial` measures, `scenarios` adds reference system S2's three, `attack_panels` shows single images.
"""
