"""Detectors of AI-generated images that live on the Hugging Face Hub."""
