"""The version, where building reads it without importing Keras."""

__version__ = "0.1.0"
