"""The neural field of one chunk: its layout, and the backends that evaluate it."""
