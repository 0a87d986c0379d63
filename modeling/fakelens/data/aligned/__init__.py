"""Content-aligned fakes: photographs sent through a generator's autoencoder.

Read `reconstruct` first. `autoencoders` opens them, `tiny_autoencoder` is one architecture; `small_autoencoders` are
trained on the spot and kept by `small_collection`. `pair_folder` is what pairs are written to.
"""
