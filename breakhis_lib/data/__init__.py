"""Images in, as *fields* and *splits*; nothing here loads Keras."""
