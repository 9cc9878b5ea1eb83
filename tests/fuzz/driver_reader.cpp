// The driver's reader on files of any kind: a Failure that says something, or values; never anything else.
//
// An input is a .gndc file as it is when it begins with "PK". Any other is one taken apart, so that mutations reach what
// lies behind checksums and compression: for each part a kind (1 byte) and a length (4 bytes, little endian), of which
// what is left is taken if it is more. Kinds: 0 begins an entry, whose name the part is; 1 bytes as they are; 2 bytes
// with their length before them; 3 bytes that are compressed, with the length of the result before them. A part is 3
// where a length and a zstd frame stand in the format: weights, frames of masks.
#include <zlib.h>
#include <zstd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "cpl_vsi.h"
#include "cube.h"
#include "failure.h"
#include "gdal.h"

namespace {

constexpr const char *kPath = "/vsimem/fuzz.gndc";

void put(std::string &out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
        out.push_back(static_cast<char>(value >> (8 * i)));
    }
}

struct Archive {
    std::string body, directory;
    int count = 0;

    void add(const std::string &name, const std::string &data) {
        const uLong crc = crc32(0, reinterpret_cast<const Bytef *>(data.data()), static_cast<uInt>(data.size()));
        std::string common;
        put(common, 20, 2);
        put(common, 0, 2);
        put(common, 0, 2);
        put(common, 0, 4);
        put(common, crc, 4);
        put(common, data.size(), 4);
        put(common, data.size(), 4);
        put(common, name.size(), 2);
        put(common, 0, 2);
        directory += "PK\x01\x02";
        put(directory, 20, 2);
        directory += common;
        directory.append(10, 0);
        put(directory, body.size(), 4);
        directory += name;
        body += "PK\x03\x04" + common + name + data;
        ++count;
    }

    std::string finish() const {
        std::string out = body + directory + "PK\x05\x06";
        put(out, 0, 4);
        put(out, static_cast<uint64_t>(count), 2);
        put(out, static_cast<uint64_t>(count), 2);
        put(out, directory.size(), 4);
        put(out, body.size(), 4);
        put(out, 0, 2);
        return out;
    }
};

std::string assembled(const uint8_t *data, size_t size) {
    Archive archive;
    std::string name, entry;
    for (size_t at = 0; at + 5 <= size;) {
        const int kind = data[at] & 3;
        uint32_t length = 0;
        std::memcpy(&length, data + at + 1, 4);
        at += 5;
        const size_t n = std::min<size_t>(length, size - at);
        std::string part(reinterpret_cast<const char *>(data + at), n);
        at += n;
        if (kind == 0) {
            if (!name.empty()) {
                archive.add(name, entry);
            }
            name = part.substr(0, 100);
            entry.clear();
            continue;
        }
        if (kind == 3) {
            std::string packed(ZSTD_compressBound(part.size()), '\0');
            packed.resize(ZSTD_compress(packed.data(), packed.size(), part.data(), part.size(), 1));
            part = packed;
        }
        if (kind >= 2) {
            put(entry, part.size(), 4);
        }
        entry += part;
    }
    if (!name.empty()) {
        archive.add(name, entry);
    }
    return archive.finish();
}

void read(const std::string &path) {
    using namespace gndc_driver;
    const std::shared_ptr<Cube> cube = Cube::Open(path);
    const Meta &meta = cube->GetMeta();
    const int64_t frames[2] = {0, meta.m_frames - 1};
    std::vector<int32_t> bands{0};
    if (meta.m_bands.size() > 1) {
        bands.push_back(static_cast<int32_t>(meta.m_bands.size()) - 1);
    }
    for (const int64_t frame : frames) {
        const Moment moment = cube->FrameAt(frame);
        std::vector<double> rows(5), cols(40);
        gndc_positions(0.0, static_cast<double>(meta.m_height), 5, rows.data());
        gndc_positions(0.0, static_cast<double>(std::min<int64_t>(meta.m_width, frame ? 40 : meta.m_width)), 40, cols.data());
        std::vector<float> out(rows.size() * cols.size() * bands.size());
        Target target;
        target.m_out = out.data();
        target.m_bandStride = 1;
        target.m_colStride = static_cast<int64_t>(bands.size());
        target.m_rowStride = target.m_colStride * 40;
        Reading reading;
        reading.m_threads = 1;
        cube->ReadGrid(moment, rows, cols, bands, target, reading);
        cube->ReadSeries(rows[2], cols[20], {cube->FrameAt(0), moment}, bands, out.data(), reading);
    }
    if (!meta.m_times.empty()) {
        cube->At(meta.m_times.front() / 2 + meta.m_times.back() / 2);
    }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
    CPLSetErrorHandler(CPLQuietErrorHandler);
    GDALAllRegister();
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    std::string file = size >= 2 && data[0] == 'P' && data[1] == 'K'
                           ? std::string(reinterpret_cast<const char *>(data), size)
                           : assembled(data, size);
    if (const char *path = std::getenv("GNDC_FUZZ_SAVE")) {  // the file that an input stands for
        FILE *saved = std::fopen(path, "wb");
        std::fwrite(file.data(), 1, file.size(), saved);
        std::fclose(saved);
    }
    VSIFCloseL(VSIFileFromMemBuffer(kPath, reinterpret_cast<GByte *>(file.data()), file.size(), FALSE));
    try {
        read(kPath);
    } catch (const gndc_driver::Failure &failure) {
        if (!*failure.what()) {
            std::abort();
        }
    }
    VSIUnlink(kPath);
    return 0;
}
