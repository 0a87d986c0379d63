"""What runs below the app's pages: uploads, addresses, their folder, what Gradio remembers, and `/health`."""
