"""Layers and models from others: other frameworks, and the built-in layers."""
