"""A compressed stream of frames of one size that is read frame by frame, without unpacking it as a whole."""

from __future__ import annotations

import io
import lzma
from collections.abc import Iterator

import zstandard

from gdal_gndc.errors import FileFormatError
from gdal_gndc.format.compression import Buffer

# as in compression.py: what one compressed byte can become at most
_MAX_RATIO = {"zstd": 32768, "lzma": 1 << 16}
_LZMA_MEMORY = 128 << 20
_PIECE = 1 << 20


class DenseStream:
    """``n_frames`` times ``frame_bytes`` bytes behind one zstd or lzma stream, after ``lead`` bytes that do not count.

    A frame costs the decompression of those before it and the memory of one.

    Raises
    ------
    FileFormatError
        If the stream cannot hold so much, or declares another length.
    """

    def __init__(
        self,
        data: Buffer,
        codec: str,
        n_frames: int,
        frame_bytes: int,
        what: str,
        *,
        lead: int = 0,
        path: str | None = None,
        entry: str | None = None,
    ) -> None:
        self._data, self._codec, self._what = memoryview(data), codec, what
        self._n_frames, self._frame_bytes = n_frames, frame_bytes
        self._lead = lead
        self._path, self._entry = path, entry
        expected = lead + n_frames * frame_bytes
        if expected > len(self._data) * _MAX_RATIO[codec]:
            raise self._fail(f"{len(self._data)} compressed bytes cannot hold {expected}")
        if codec == "zstd":
            try:
                declared = zstandard.frame_content_size(self._data)
            except zstandard.ZstdError as error:
                raise self._fail(f"a damaged zstd frame header ({error})") from error
            if declared not in (-1, expected):
                raise self._fail(f"the zstd frame declares {declared} bytes, expected {expected}")

    def frame(self, k: int) -> bytes:
        """Return the bytes of frame ``k``.

        Raises
        ------
        FileFormatError
            If the stream is damaged or ends before; for the last frame, also if it goes on.
        """
        start = self._lead + k * self._frame_bytes
        end = start + self._frame_bytes
        last = k == self._n_frames - 1
        found, at = bytearray(), 0
        try:
            for piece in self._pieces():
                found += piece[max(start - at, 0) : max(end - at, 0)]
                at += len(piece)
                if at > end or (at == end and not last):
                    break
        except (zstandard.ZstdError, lzma.LZMAError, EOFError, MemoryError) as error:
            raise self._fail(f"a damaged {self._codec} stream ({error})") from error
        if at < end or (last and at > end):
            more = "more than" if at > end else f"{at} of"
            raise self._fail(f"the {self._codec} stream holds {more} {end} bytes up to frame {k}")
        return bytes(found)

    def _pieces(self) -> Iterator[bytes]:
        if self._codec == "zstd":
            with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(self._data)) as reader:
                while piece := reader.read(_PIECE):
                    yield piece
            return
        decoder = lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=_LZMA_MEMORY)
        piece = decoder.decompress(bytes(self._data), max_length=_PIECE)
        while piece:
            yield piece
            piece = b"" if decoder.eof else decoder.decompress(b"", max_length=_PIECE)

    def _fail(self, problem: str) -> FileFormatError:
        return FileFormatError(f"{self._what}: {problem}", path=self._path, entry=self._entry)
