"""Xception, its frozen trunk and its trained heads; the only room that loads Keras."""
