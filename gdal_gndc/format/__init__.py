"""The container format: bytes to dataclasses and back. Decompresses and validates, never evaluates."""
