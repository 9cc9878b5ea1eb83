"""Compression, and decompression to a size that is known beforehand: nothing bigger is ever allocated."""

from __future__ import annotations

import lzma
from collections.abc import Sequence

import zstandard

from gdal_gndc.errors import FileFormatError

# An RLE block of zstd turns 4 bytes into 128 KiB; nothing in the format expands further.
_ZSTD_MAX_RATIO = 32768
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# What the decoder of xz's strongest preset needs (65 MiB, whatever the data), with room to spare.
_LZMA_MEMORY = 128 << 20
# Strategies of zstd and shortest matches that are smallest on some masks, weights or corrections. Long matches only
# leave more to the entropy coder, which suits weights that are nearly noise.
_PARSINGS = ((7, 3), (8, 5), (9, 6))
_WORTH_TRYING = 4 << 20

Buffer = bytes | bytearray | memoryview


def zstd_exact(data: Buffer, expected: int, what: str, *, path: str | None = None, entry: str | None = None) -> bytes:
    """Decompress one zstd frame, with or without a content size, to exactly ``expected`` bytes.

    Parameters
    ----------
    data
        One frame and nothing after it.
    expected
        Bytes the frame must hold; checked against the frame header before anything is allocated.
    what
        What the bytes are, for messages (``"weights"``).

    Raises
    ------
    FileFormatError
        If the frame is damaged, declares or yields another size, or is followed by other bytes.
    """

    def fail(problem: str, cause: BaseException | None = None) -> FileFormatError:
        error = FileFormatError(f"{what}: {problem}, expected {expected} bytes", path=path, entry=entry)
        error.__cause__ = cause
        return error

    frame = memoryview(data)
    if bytes(frame[:4]) != _ZSTD_MAGIC:
        raise fail(f"found {len(frame)} bytes that are not a zstd frame")
    try:
        declared = zstandard.frame_content_size(frame)
    except zstandard.ZstdError as error:
        raise fail(f"found a damaged zstd frame header ({error})", error) from error
    if declared not in (-1, expected):
        raise fail(f"the zstd frame declares {declared} bytes")
    if expected > len(frame) * _ZSTD_MAX_RATIO:
        raise fail(f"{len(frame)} compressed bytes cannot hold that much")
    try:
        found = zstandard.ZstdDecompressor().decompress(
            frame, max_output_size=max(expected, 1), read_across_frames=False, allow_extra_data=False
        )
    except (zstandard.ZstdError, MemoryError) as error:
        raise fail(f"the zstd frame does not decompress to its expected size ({error})", error) from error
    if len(found) != expected:
        raise fail(f"found {len(found)} bytes after decompression")
    return found


def lzma_exact(data: Buffer, expected: int, what: str, *, path: str | None = None, entry: str | None = None) -> bytes:
    """Decompress one .xz (or .lzma) stream to exactly ``expected`` bytes; as `zstd_exact` otherwise."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=_LZMA_MEMORY)
    try:
        # One byte more than expected, so that a stream that is too long shows itself.
        found = decoder.decompress(bytes(data), max_length=expected + 1)
    except (lzma.LZMAError, EOFError, MemoryError) as error:
        raise FileFormatError(
            f"{what}: found a damaged lzma stream ({error}), expected {expected} bytes",
            path=path,
            entry=entry,
        ) from error
    if len(found) > expected:
        raise FileFormatError(
            f"{what}: the lzma stream holds more than the {expected} bytes expected", path=path, entry=entry
        )
    if len(found) < expected or not decoder.eof or decoder.unused_data:
        state = "trailing bytes" if decoder.eof and decoder.unused_data else f"{len(found)} bytes"
        raise FileFormatError(
            f"{what}: found {state} in the lzma stream, expected {expected} bytes", path=path, entry=entry
        )
    return found


def zstd_compress(data: Buffer, level: int = 19) -> bytes:
    """Compress to one zstd frame that carries its content size, which other readers need."""
    return zstandard.ZstdCompressor(level=level, write_content_size=True).compress(data)


def zstd_smallest(*parts: Buffer, among: int = 0) -> bytes:
    """Compress to the smallest of several zstd frames: one to six per cent less than `zstd_compress`.

    Parameters
    ----------
    parts
        What is compressed, in order. Parts with statistics of their own may get blocks of their own.
    among
        Bytes of all that is compressed alike, if these are not all: beyond 4 MiB it is `zstd_compress`, as trying
        takes four to eight times as long.
    """
    whole = b"".join(parts)
    best = zstd_compress(whole)
    if max(among, len(whole)) > _WORTH_TRYING:
        return best
    log = min(22, max(10, len(whole).bit_length()))
    for strategy, shortest in _PARSINGS:
        compressor = zstandard.ZstdCompressor(
            compression_params=zstandard.ZstdCompressionParameters(
                strategy=strategy, min_match=shortest, target_length=999, search_log=9, write_content_size=True,
                window_log=log, chain_log=log, hash_log=log,
            )
        )  # fmt: skip
        tried = [compressor.compress(whole)]
        if len(parts) > 1:
            tried.append(_in_blocks(compressor, parts, len(whole)))
        best = min(best, *tried, key=len)
    return best


def _in_blocks(compressor: zstandard.ZstdCompressor, parts: Sequence[Buffer], size: int) -> bytes:
    stream = compressor.compressobj(size=size)
    blocks = [stream.compress(parts[0])]
    for part in parts[1:]:
        blocks += [stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK), stream.compress(part)]
    return b"".join([*blocks, stream.flush()])


def lzma_compress(data: Buffer) -> bytes:
    """Compress to one .xz stream whose dictionary is no bigger than the data needs."""
    size = max(4096, 1 << max(len(data) - 1, 1).bit_length())
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": min(size, 64 << 20)}]
    return lzma.compress(bytes(data), format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, filters=filters)
