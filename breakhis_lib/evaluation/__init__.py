"""Predictions in, tables, figures and pages out; nothing here loads Keras."""
