#include "cubearray.h"

#include <algorithm>

#include "failure.h"
#include "statistics.h"

namespace gndc_driver
{

namespace
{

constexpr GUInt64 BLOCK = 256;
constexpr size_t TIME = 0;
constexpr size_t Y = 1;
constexpr size_t X = 2;
constexpr size_t BAND = 3;

}  // namespace

// A read with a band axis of its own, whether the array has one or not.
struct CubeArray::Slab
{
    GUInt64 m_start[4]{};
    size_t m_count[4]{1, 1, 1, 1};
    GInt64 m_step[4]{1, 1, 1, 1};
    GPtrDiff_t m_stride[4]{};  // elements of the buffer
    GDALDataType m_type{};
    GByte *m_buffer{};

    size_t IndexOf(size_t axis, size_t i) const
    {
        return static_cast<size_t>(static_cast<GInt64>(m_start[axis]) + static_cast<GInt64>(i) * m_step[axis]);
    }

    // Centres of the pixels of an axis, ascending.
    std::vector<double> Centres(size_t axis) const
    {
        std::vector<double> centres;
        for (size_t i = 0; i < m_count[axis]; ++i)
            centres.push_back(static_cast<double>(IndexOf(axis, i)) + 0.5);
        if (m_step[axis] < 0)
            std::reverse(centres.begin(), centres.end());
        return centres;
    }

    // Place in the buffer of a value of ascending centres.
    GByte *At(size_t time, size_t row, size_t col, size_t band) const
    {
        const size_t y = m_step[Y] < 0 ? m_count[Y] - 1 - row : row;
        const size_t x = m_step[X] < 0 ? m_count[X] - 1 - col : col;
        const GPtrDiff_t offset = static_cast<GPtrDiff_t>(time) * m_stride[TIME] + static_cast<GPtrDiff_t>(y) * m_stride[Y] +
                                  static_cast<GPtrDiff_t>(x) * m_stride[X] + static_cast<GPtrDiff_t>(band) * m_stride[BAND];
        return m_buffer + offset * GDALGetDataTypeSizeBytes(m_type);
    }

    void Put(const float *values, size_t time, size_t row, size_t col, size_t band, size_t count, int valueStride,
             size_t axis) const
    {
        const GPtrDiff_t sign = axis == X && m_step[X] < 0 ? -1 : 1;
        GDALCopyWords(values, GDT_Float32, valueStride * static_cast<int>(sizeof(float)), At(time, row, col, band), m_type,
                      static_cast<int>(sign * m_stride[axis] * GDALGetDataTypeSizeBytes(m_type)),
                      static_cast<int>(count));
    }
};

CubeArray::CubeArray(const std::string &name, const std::shared_ptr<Cube> &cube,
                     const std::shared_ptr<GDALPamMultiDim> &pam)
    : GDALAbstractMDArray("/", name), GDALPamMDArray("/", name, pam), m_cube(cube),
      m_type(GDALExtendedDataType::Create(GDT_Float32))
{
}

std::shared_ptr<CubeArray> CubeArray::Create(const std::string &name, const std::shared_ptr<Cube> &cube,
                                             const std::vector<Moment> &moments,
                                             const std::vector<std::shared_ptr<GDALDimension>> &dimensions,
                                             const std::vector<std::shared_ptr<GDALMDArray>> &indices,
                                             const std::vector<int32_t> &bands,
                                             const std::shared_ptr<OGRSpatialReference> &srs, const Reading &reading,
                                             const std::shared_ptr<GDALPamMultiDim> &pam)
{
    std::shared_ptr<CubeArray> array(new CubeArray(name, cube, pam));
    array->SetSelf(array);
    array->m_moments = moments;
    array->m_dimensions = dimensions;
    array->m_indices = indices;
    array->m_bands = bands;
    array->m_srs = srs;
    array->m_reading = reading;
    if (bands.size() != 1)
        return array;
    const Band &band = cube->GetMeta().m_bands[static_cast<size_t>(bands.front())];
    array->m_unit = band.m_unit;
    const std::string &parent = array->GetFullName();
    if (!band.m_description.empty())
        array->m_attributes.push_back(std::make_shared<GDALAttributeString>(parent, "long_name", band.m_description));
    if (!band.m_commonName.empty())
        array->m_attributes.push_back(std::make_shared<GDALAttributeString>(parent, "common_name", band.m_commonName));
    if (band.m_wavelength)
        array->m_attributes.push_back(
            std::make_shared<GDALAttributeNumeric>(parent, "center_wavelength", *band.m_wavelength));
    return array;
}

CPLErr CubeArray::GetStatistics(bool approximate, bool force, double *minimum, double *maximum, double *mean,
                                double *deviation, GUInt64 *validCount, GDALProgressFunc progress, void *data)
{
    const auto compute = [&](bool forced)
    {
        return GDALPamMDArray::GetStatistics(approximate, forced, minimum, maximum, mean, deviation, validCount, progress,
                                             data);
    };
    if (!approximate || m_bands.size() != 1)
        return compute(force);
    if (compute(false) == CE_None)
        return CE_None;
    const std::optional<Statistics> known = StatisticsOf(*m_cube)[static_cast<size_t>(m_bands.front())];
    if (!known)
        return compute(force);
    const std::pair<double *, double> values[] = {{minimum, known->m_minimum},
                                                  {maximum, known->m_maximum},
                                                  {mean, known->m_mean},
                                                  {deviation, known->m_deviation}};
    for (const auto &[out, value] : values)
        if (out)
            *out = value;
    if (validCount)
        *validCount = 0;  // not measured
    return CE_None;
}

std::vector<GUInt64> CubeArray::GetBlockSize() const
{
    std::vector<GUInt64> block{1, std::min(BLOCK, m_dimensions[Y]->GetSize()), std::min(BLOCK, m_dimensions[X]->GetSize())};
    if (m_dimensions.size() > BAND)
        block.push_back(m_dimensions[BAND]->GetSize());
    return block;
}

std::vector<std::shared_ptr<GDALAttribute>> CubeArray::GetAttributes(CSLConstList) const
{
    return m_attributes;
}

bool CubeArray::IRead(const GUInt64 *start, const size_t *count, const GInt64 *step, const GPtrDiff_t *stride,
                      const GDALExtendedDataType &bufferType, void *buffer) const
{
    if (bufferType.GetClass() != GEDTC_NUMERIC)
    {
        CPLError(CE_Failure, CPLE_NotSupported, "%s: values are numbers, they cannot be read as anything else",
                 m_cube->Path().c_str());
        return false;
    }
    Slab slab;
    for (size_t axis = 0; axis < m_dimensions.size(); ++axis)
    {
        slab.m_start[axis] = start[axis];
        slab.m_count[axis] = count[axis];
        slab.m_step[axis] = step[axis];
        slab.m_stride[axis] = stride[axis];
    }
    slab.m_type = bufferType.GetNumericDataType();
    slab.m_buffer = static_cast<GByte *>(buffer);
    return Guarded(false,
                   [&]
                   {
                       Read(slab);
                       return true;
                   });
}

void CubeArray::Read(const Slab &slab) const
{
    const std::vector<double> rows = slab.Centres(Y);
    const std::vector<double> cols = slab.Centres(X);
    std::vector<int32_t> bands;
    for (size_t i = 0; i < slab.m_count[BAND]; ++i)
        bands.push_back(m_bands[slab.IndexOf(BAND, i)]);
    std::vector<Moment> moments;
    for (size_t i = 0; i < slab.m_count[TIME]; ++i)
        moments.push_back(m_moments[slab.IndexOf(TIME, i)]);

    if (moments.size() > 1 && rows.size() == 1 && cols.size() == 1)
    {
        std::vector<float> values(moments.size() * bands.size());
        m_cube->ReadSeries(rows[0], cols[0], moments, bands, values.data(), m_reading);
        for (size_t band = 0; band < bands.size(); ++band)
            slab.Put(values.data() + band, 0, 0, 0, band, moments.size(), static_cast<int>(bands.size()), TIME);
        return;
    }
    const int64_t pixels = static_cast<int64_t>(rows.size() * cols.size());
    std::vector<float> values(rows.size() * cols.size() * bands.size());
    for (size_t time = 0; time < moments.size(); ++time)
    {
        m_cube->ReadGrid(moments[time], rows, cols, bands,
                         {values.data(), static_cast<int64_t>(cols.size()), 1, pixels}, m_reading);
        for (size_t band = 0; band < bands.size(); ++band)
            for (size_t row = 0; row < rows.size(); ++row)
                slab.Put(values.data() + (band * rows.size() + row) * cols.size(), time, row, 0, band, cols.size(), 1, X);
    }
}

}  // namespace gndc_driver
