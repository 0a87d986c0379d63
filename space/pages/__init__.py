"""The app's tabs, one file each: `page(detectors)` draws one inside the `gr.Tab` it is called in."""
