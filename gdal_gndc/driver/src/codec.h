// Decompression into buffers of a size known beforehand: what a stream declares about itself is never trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gndc_driver
{

/** Unpacks a stream of `codec` ("zstd" or "lzma") that must give exactly `expected` bytes. `what` names it in the Failure. */
std::vector<uint8_t> Decompress(const std::string &codec, const uint8_t *data, size_t size, size_t expected,
                                const char *what);

/** Unpacks a raw DEFLATE stream of a ZIP entry and verifies its size and checksum. Throws Failure. */
std::vector<uint8_t> Inflate(const std::vector<uint8_t> &stream, size_t expected, uint32_t crc);

/** "zstd" or "lzma"; anything else throws a Failure that names the key. */
std::string CheckedCodec(const std::string &codec, const char *key);

}  // namespace gndc_driver
