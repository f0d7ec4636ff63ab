"""Models that answer a stream, chunk by chunk."""

from keras_convt.streaming.model import StreamingModel

__all__ = ["StreamingModel"]
