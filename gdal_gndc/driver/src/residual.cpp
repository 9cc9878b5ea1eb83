#include "residual.h"

#include <cmath>
#include <limits>

#include "codec.h"
#include "cpl_vsi.h"
#include "failure.h"

namespace gndc_driver
{

namespace
{

using Long = long long;
using ULong = unsigned long long;

constexpr const char *MAIN = "residuals, in-band stream";

std::string Choice(const Json &info, const char *key, const char *first, const char *second)
{
    const std::string value = info.String(key, first);
    if (value != first && value != second)
        info.Wrong(key, std::string(first) + " or " + second);
    return value;
}

}  // namespace

Residuals Residuals::Parse(const Json &info, Bytes section, const int64_t *stored, int64_t bands)
{
    Residuals residuals;
    Choice(info, "outlier_layout", "chunked_v1", "chunked_v1");
    residuals.m_mainCodec = Choice(info, "main_codec", "zstd", "lzma");
    residuals.m_codec = Choice(info, "outlier_vals_codec", "lzma", "zstd");
    residuals.m_type = Choice(info, "dtype", "int16", "int8") == "int16" ? GNDC_INT16 : GNDC_INT8;
    const double scale = info.Number("scale", 1.0);
    if (std::fabs(scale) > static_cast<double>(std::numeric_limits<float>::max()))
        info.Wrong("scale", "a number in the range of float32");
    residuals.m_scale = static_cast<float>(scale);
    const bool native = Choice(info, "value_mode", "perframe_int16", "native") == "native";
    if (info.Has("band_scales"))
    {
        const std::vector<double> scales = info.Numbers("band_scales");
        if (!scales.empty() && scales.size() != 1 && static_cast<int64_t>(scales.size()) != bands)
            Fail("residual_info.band_scales has %zu entries for %lld bands", scales.size(), static_cast<Long>(bands));
        for (const double scale : scales)
        {
            if (std::fabs(scale) > static_cast<double>(std::numeric_limits<float>::max()))
                Fail("residual_info.band_scales holds %.17g, expected numbers in the range of float32", scale);
            if (native)
                residuals.m_bandScales.push_back(static_cast<float>(scale));
        }
    }
    residuals.m_height = stored[3] - stored[2];
    residuals.m_width = stored[5] - stored[4];
    residuals.m_bands = bands;
    const int64_t frames = stored[1] - stored[0];
    residuals.m_frameCount = frames;

    const char *const what = "residuals";
    residuals.m_main = section.Part("residuals, in-band stream");
    const uint8_t hasOutliers = *section.Take(1, what);
    if (hasOutliers > 1)
        Fail("residuals: found has_outliers %d, expected 0 or 1", hasOutliers);
    if (!hasOutliers)
    {
        if (section.Left() > 0)
            Fail("residuals: found %llu bytes after has_outliers 0, expected none", static_cast<ULong>(section.Left()));
        return residuals;
    }
    int64_t shape[4] = {};
    for (int64_t &size : shape)
        size = static_cast<int32_t>(section.U32(what));
    if (shape[0] != frames || shape[1] != residuals.m_height || shape[2] != residuals.m_width || shape[3] != bands)
        Fail("residuals: found shape (%lld, %lld, %lld, %lld), expected (%lld, %lld, %lld, %lld), the stored extent",
             static_cast<Long>(shape[0]), static_cast<Long>(shape[1]), static_cast<Long>(shape[2]),
             static_cast<Long>(shape[3]), static_cast<Long>(frames), static_cast<Long>(residuals.m_height),
             static_cast<Long>(residuals.m_width), static_cast<Long>(bands));
    const int64_t offsetCount = section.U32(what);
    if (offsetCount != frames + 1)
        Fail("residuals: found %lld offsets, expected %lld, one more than frames", static_cast<Long>(offsetCount),
             static_cast<Long>(frames + 1));
    Bytes offsets(section.Take(static_cast<uint64_t>(offsetCount) * 8, what), static_cast<size_t>(offsetCount) * 8);
    const uint64_t size = section.Left();
    const uint8_t *data = section.Take(size, what);
    uint64_t start = offsets.U64(what);
    if (start != 0)
        Fail("residuals: found first offset %llu, expected 0", static_cast<ULong>(start));
    for (int64_t i = 0; i < frames; ++i)
    {
        const uint64_t end = offsets.U64(what);
        if (end < start || end > size || (i + 1 == frames && end != size))
            Fail("residuals: found offset %llu of frame %lld after %llu, expected them to divide the %llu bytes there",
                 static_cast<ULong>(end), static_cast<Long>(i), static_cast<ULong>(start), static_cast<ULong>(size));
        residuals.m_frames.emplace_back(data + start, static_cast<size_t>(end - start));
        start = end;
    }
    return residuals;
}

size_t Residuals::MainBytes() const
{
    const int64_t values = m_height * m_width * m_bands;
    const int64_t size = m_type == GNDC_INT8 ? 1 : 2;
    if (values > Json::HIGHEST / size / m_frameCount)
        Fail("%s: found an extent of more values than can be counted, expected a smaller one", MAIN);
    return static_cast<size_t>(values * size * m_frameCount);
}

std::vector<uint8_t> Residuals::UnpackMain() const
{
    const size_t bytes = MainBytes();
    const GIntBig memory = CPLGetUsablePhysicalRAM();
    if (memory > 0 && bytes > static_cast<size_t>(memory) / 2)
        Fail("%s: found one of %zu bytes once unpacked, expected at most half of the %lld bytes of memory here", MAIN,
             bytes, static_cast<Long>(memory));
    return Decompress(m_mainCodec, m_main.Data(), m_main.Size(), bytes, MAIN);
}

ResidualPtr Residuals::Unpack(int64_t frame, const std::vector<uint8_t> *main) const
{
    ResidualPtr sparse = m_frames.empty() ? nullptr : UnpackSparse(frame);
    if (!main)
        return sparse;
    int status = GNDC_OK;
    char message[GNDC_MESSAGE] = {};
    const size_t bytes = MainBytes() / static_cast<size_t>(m_frameCount);
    ResidualPtr residual(gndc_residual_dense(main->data() + static_cast<size_t>(frame) * bytes, m_type, m_scale,
                                             sparse.get(), m_height, m_width, m_bands, &status, message));
    if (!residual)
        Fail("residual frame %lld: %s", static_cast<Long>(frame), message);
    return residual;
}

ResidualPtr Residuals::UnpackSparse(int64_t frame) const
{
    const std::string name = "residual frame " + std::to_string(frame);
    const char *const what = name.c_str();
    Bytes bytes = m_frames[static_cast<size_t>(frame)];
    const float scale = bytes.F32(what);
    const Bytes positions = bytes.Part(what);
    const uint32_t count = bytes.U32(what);
    const Bytes values = bytes.Part(what);
    if (bytes.Left() > 0)
        Fail("%s: found %llu bytes after its values, expected none", what, static_cast<ULong>(bytes.Left()));
    if (!std::isfinite(scale))
        Fail("%s: found a scale that is no finite number, expected one", what);
    if (count > static_cast<uint64_t>(m_height) * static_cast<uint64_t>(m_width) * static_cast<uint64_t>(m_bands))
        Fail("%s: found %u outliers, expected no more than the frame has values", what, count);
    if (count == 0)
    {
        if (positions.Size() + values.Size() > 0)
            Fail("%s: found %zu bytes for no outliers, expected none", what, positions.Size() + values.Size());
        return nullptr;
    }
    const std::vector<uint8_t> deltas =
        Decompress("zstd", positions.Data(), positions.Size(), size_t{4} * count, (name + ", positions").c_str());
    const std::vector<uint8_t> stored =
        Decompress(m_codec, values.Data(), values.Size(), size_t{m_type == GNDC_INT8 ? 1U : 2U} * count,
                   (name + ", values").c_str());
    int status = GNDC_OK;
    char message[GNDC_MESSAGE] = {};
    ResidualPtr residual(gndc_residual_new(reinterpret_cast<const int32_t *>(deltas.data()), stored.data(), count,
                                           m_type, scale, m_bandScales.empty() ? nullptr : m_bandScales.data(),
                                           static_cast<int64_t>(m_bandScales.size()), m_height, m_width, m_bands,
                                           &status, message));
    if (!residual)
        Fail("%s: %s", what, message);
    return residual;
}

}  // namespace gndc_driver
