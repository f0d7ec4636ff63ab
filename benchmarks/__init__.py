"""How fast the layers are, against the built-in ones and other libraries.

`python -m benchmarks` measures, `python -m benchmarks --report` makes the
tables and figures, `python -m benchmarks.fit` trains a model. README.md says
what the numbers mean.
"""
