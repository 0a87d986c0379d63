"""The model card.

`card` renders it, with `examples` for the widget; `preserved_sections` keeps what people wrote into an earlier one.
"""
