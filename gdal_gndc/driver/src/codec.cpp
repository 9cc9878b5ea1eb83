#include "codec.h"

#include "cpl_compressor.h"
#include "failure.h"

namespace gndc_driver
{

namespace
{

constexpr size_t ZSTD_LIMIT = 32768;
constexpr size_t LZMA_LIMIT = 65536;

// The decompressors of GDAL write at most *output_size bytes into a buffer they are given.
bool Unpack(const char *codec, const uint8_t *data, size_t size, std::vector<uint8_t> &out, size_t &got)
{
    const CPLCompressor *decompressor = CPLGetDecompressor(codec);
    if (!decompressor)
        Fail("this GDAL was built without %s, which the file needs", codec);
    void *target = out.data();
    got = out.size();
    CPLErrorStateBackuper state;
    CPLErrorHandlerPusher quiet(CPLQuietErrorHandler);
    return decompressor->pfnFunc(data, size, &target, &got, nullptr, decompressor->user_data);
}

}  // namespace

std::vector<uint8_t> Decompress(const std::string &codec, const uint8_t *data, size_t size, size_t expected,
                                const char *what)
{
    // an RLE block of zstd turns 4 bytes into 128 KiB, and LZMA's longest matches are no better than twice that; nothing
    // in the format expands further
    if (expected / (codec == "zstd" ? ZSTD_LIMIT : LZMA_LIMIT) > size)
        Fail("%s: found %zu compressed bytes, which cannot hold the %zu expected", what, size, expected);
    // one byte more than expected: a longer stream fails or shows, and an empty one still has a buffer
    std::vector<uint8_t> out(expected + 1);
    size_t got = 0;
    if (!Unpack(codec.c_str(), data, size, out, got))
        Fail("%s: found a %s stream that is damaged or longer than %zu bytes, expected exactly %zu", what,
             codec.c_str(), expected, expected);
    if (got != expected)
        Fail("%s: found %zu bytes after decompression, expected %zu", what, got, expected);
    out.resize(expected);
    return out;
}

std::vector<uint8_t> Inflate(const std::vector<uint8_t> &stream, size_t expected, uint32_t crc)
{
    if (expected == 0)
        return {};
    // GDAL unpacks gzip streams but no raw ones: the header and trailer of gzip go around it, and zlib checks the sum
    std::vector<uint8_t> gzip{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    gzip.insert(gzip.end(), stream.begin(), stream.end());
    for (const uint32_t value : {crc, static_cast<uint32_t>(expected)})
        for (int shift = 0; shift < 32; shift += 8)
            gzip.push_back(static_cast<uint8_t>(value >> shift));
    std::vector<uint8_t> out(expected);
    size_t got = 0;
    if (!Unpack("gzip", gzip.data(), gzip.size(), out, got) || got != expected)
        Fail("found a damaged DEFLATE stream, expected %zu bytes with checksum %08x", expected, crc);
    return out;
}

std::string CheckedCodec(const std::string &codec, const char *key)
{
    if (codec != "zstd" && codec != "lzma")
        Fail("%s: found \"%s\", expected \"zstd\" or \"lzma\"", key, Shown(codec).c_str());
    return codec;
}

}  // namespace gndc_driver
