"""Models in ONNX: `session` runs them as any other detector's network; the rest, above it, makes and checks them."""
