"""Composing layers in R's style, under R's names, from R's values."""
