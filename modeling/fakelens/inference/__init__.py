"""Image -> verdict.

Read `detector` first, then `verdict`, what it answers. `loading` gets network and processor (`onnx_model` where it is
ONNX), `reading` opens images, `folding` and `threads` make both fast, `input_warnings` knows unusual images, `batches`
decodes whole splits, `identity` names what scores depend on. `classes` knows what a model's outputs mean, `onnx`
exports a detector.
"""
