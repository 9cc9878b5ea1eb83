#include "chunk.h"

#include <algorithm>
#include <limits>

#include "failure.h"
#include "times.h"

namespace gndc_driver
{

namespace
{

constexpr int NORM_GLOBAL = 0;
constexpr int NORM_XYZ = 1;
constexpr int NORM_PLANAR = 2;
constexpr int NORM_GRID = 3;

const std::vector<const char *> PLANAR_KEYS{"lon_min", "lon_span", "lat_min", "lat_span"};
const std::vector<const char *> XYZ_KEYS{"x_min", "x_span", "y_min", "y_span", "z_min", "z_span"};

std::vector<uint8_t> Copy(const Bytes &bytes)
{
    return std::vector<uint8_t>(bytes.Data(), bytes.Data() + bytes.Size());
}

}  // namespace

std::shared_ptr<const Chunk> Chunk::Parse(const std::vector<uint8_t> &blob, const Meta &meta, const int64_t *bounds,
                                          const int64_t *stored)
{
    Bytes bytes(blob.data(), blob.size());
    const Bytes headerBytes = bytes.Part("chunk_meta_json");
    const Json header =
        In("chunk_meta_json", [&headerBytes] { return Json::Parse(headerBytes.Data(), headerBytes.Size()); });
    const bool hasResiduals = header.Boolean("has_residuals", false);
    const Bytes weights = bytes.Part("weights");
    const Bytes mask = bytes.Part("mask");
    const Bytes residuals = hasResiduals ? bytes.Part("residuals") : Bytes(nullptr, 0);
    if (bytes.Left() > 0)
        Fail("found %llu bytes after the last section, expected none", static_cast<unsigned long long>(bytes.Left()));

    std::shared_ptr<Chunk> chunk(new Chunk);
    const int64_t bands = static_cast<int64_t>(meta.m_bands.size());
    const gndc_config config = ReadConfig(header, bands);
    std::copy(bounds, bounds + 6, chunk->m_core.bounds);
    std::copy(stored, stored + 6, chunk->m_core.stored);
    const int64_t rows = stored[3] - stored[2];
    if (rows > Json::HIGHEST / (stored[5] - stored[4]) / bands)
        Fail("found an extent of more values than can be counted, expected a smaller one");
    chunk->ReadRange(header);
    if (chunk->m_range.size() != 2 * meta.m_bands.size())
        Fail("train_data_range has %zu entries for %zu bands", chunk->m_range.size() / 2, meta.m_bands.size());
    chunk->ReadNorm(header, meta);
    chunk->ReadTimes(header, meta);
    chunk->m_maskBytes = Copy(mask);
    chunk->m_mask = Mask::Parse(Bytes(chunk->m_maskBytes.data(), chunk->m_maskBytes.size()), stored);
    if (hasResiduals)
    {
        chunk->m_residualBytes = Copy(residuals);
        chunk->m_residuals =
            Residuals::Parse(header.Child("residual_info"),
                             Bytes(chunk->m_residualBytes.data(), chunk->m_residualBytes.size()), stored, bands);
    }
    chunk->m_field = ReadField(header, config, weights);
    chunk->m_core.field = chunk->m_field.get();
    chunk->m_core.range = chunk->m_range.data();
    chunk->m_core.use_log = meta.m_useLog ? 1 : 0;
    return chunk;
}

void Chunk::ReadRange(const Json &header)
{
    constexpr double MOST = std::numeric_limits<float>::max();
    for (const std::vector<double> &pair : header.Rows("train_data_range"))
    {
        if (pair.size() != 2 || !(-MOST <= pair[0] && pair[0] <= pair[1] && pair[1] <= MOST))
            Fail("train_data_range[%zu] is no [min, max] in the range of float32, expected one", m_range.size() / 2);
        m_range.push_back(static_cast<float>(pair[0]));
        m_range.push_back(static_cast<float>(pair[1]));
    }
}

void Chunk::ReadNorm(const Json &header, const Meta &meta)
{
    // absent means 2, the convention of the first writers; newer files say 3
    m_core.norm_mode = static_cast<int32_t>(header.Integer("norm_mode", NORM_GLOBAL, NORM_GRID, NORM_PLANAR));
    const bool planar = m_core.norm_mode == NORM_PLANAR;
    if (planar || m_core.norm_mode == NORM_XYZ)
    {
        const char *const key = planar ? "local_planar_params" : "local_xyz_params";
        if (planar && !header.Has(key))
            Fail("%s, but local_planar_params is absent", header.Has("norm_mode") ? "norm_mode is 2"
                                                                                  : "norm_mode is absent, which means 2");
        if (header.Has(key))  // mode 1 without parameters is read as mode 0
        {
            const Json params = header.Child(key);
            double *value = m_core.params;
            for (const char *name : planar ? PLANAR_KEYS : XYZ_KEYS)
            {
                *value = params.Number(name);
                if (*value == 0.0 && std::string(name).find("_span") != std::string::npos)
                    params.Wrong(name, "a nonzero number");
                ++value;
            }
            m_core.has_xyz_params = planar ? 0 : 1;
        }
    }
    if (m_core.norm_mode != NORM_GRID && !meta.m_hasTransform)
        Fail("norm_mode is %d, but meta.json has no transform", m_core.norm_mode);
    const auto &t = meta.m_stored;
    const double x0 = static_cast<double>(m_core.stored[4]);
    const double y0 = static_cast<double>(m_core.stored[2]);
    const double place[6] = {t[0], t[1], t[2] + t[0] * x0 + t[1] * y0, t[3], t[4], t[5] + t[3] * x0 + t[4] * y0};
    std::copy(place, place + 6, m_core.transform);
}

void Chunk::ReadTimes(const Json &header, const Meta &meta)
{
    int64_t start = 0;
    int64_t end = 0;
    if (meta.m_start && meta.m_end)
    {
        start = *meta.m_start;
        end = *meta.m_end;
    }
    else if (!meta.m_times.empty())
    {
        start = *std::min_element(meta.m_times.begin(), meta.m_times.end());
        end = *std::max_element(meta.m_times.begin(), meta.m_times.end());
    }
    if (header.Has("train_time_range"))
    {
        const Json range = header.Child("train_time_range");
        In("train_time_range",
           [&]
           {
               start = ParseTime(range.String("start")).m_micros;
               end = ParseTime(range.String("end")).m_micros;
               if (end < start)
                   Fail("found an end before its start, expected it after");
           });
    }
    m_start = ToSeconds(start);
    m_end = ToSeconds(end);
}

int64_t Chunk::ByteCount() const
{
    return gndc_field_bytes(m_field.get()) + static_cast<int64_t>(m_maskBytes.size() + m_residualBytes.size());
}

}  // namespace gndc_driver
