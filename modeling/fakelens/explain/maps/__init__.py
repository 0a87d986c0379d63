"""Where in an image the detector sees something, and what the eye may see there.

`heatmap` uses the network's own patch scores or gradients, `occlusion` neither; `frequency` draws spectra.
"""
