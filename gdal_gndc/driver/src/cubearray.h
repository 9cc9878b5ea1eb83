// The values of a cube as an array over time, y, x and perhaps band.
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "compat.h"
#include "cube.h"
#include "gdal_pam.h"

namespace gndc_driver
{

class CubeArray final : public GDALPamMDArray
{
  public:
    /** @param dimensions time, y, x; and band where the array has several bands
     *  @param indices their indexing variables, which live as long as the array
     *  @param bands 0-based, one of them without a band dimension
     *  @param pam where GDAL keeps statistics, may be null */
    static std::shared_ptr<CubeArray> Create(const std::string &name, const std::shared_ptr<Cube> &cube,
                                             const std::vector<Moment> &moments,
                                             const std::vector<std::shared_ptr<GDALDimension>> &dimensions,
                                             const std::vector<std::shared_ptr<GDALMDArray>> &indices,
                                             const std::vector<int32_t> &bands,
                                             const std::shared_ptr<OGRSpatialReference> &srs, const Reading &reading,
                                             const std::shared_ptr<GDALPamMultiDim> &pam);

    bool IsWritable() const override
    {
        return false;
    }

    const std::string &GetFilename() const override
    {
        return m_cube->Path();
    }

    const std::vector<std::shared_ptr<GDALDimension>> &GetDimensions() const override
    {
        return m_dimensions;
    }

    const GDALExtendedDataType &GetDataType() const override
    {
        return m_type;
    }

    const std::string &GetUnit() const override
    {
        return m_unit;
    }

    const void *GetRawNoDataValue() const override
    {
        return &m_noData;
    }

    std::shared_ptr<OGRSpatialReference> GetSpatialRef() const override
    {
        return m_srs;
    }

    /** What GDAL computed before, or where approximate ones will do what the encoder measured. */
    CPLErr GetStatistics(bool approximate, bool force, double *minimum, double *maximum, double *mean,
                         double *deviation, GUInt64 *validCount, GDALProgressFunc progress, void *data) override;

    std::vector<GUInt64> GetBlockSize() const override;
    std::vector<std::shared_ptr<GDALAttribute>> GetAttributes(CSLConstList options) const override;

  protected:
    bool IRead(const GUInt64 *start, const size_t *count, const GInt64 *step, const GPtrDiff_t *stride,
               const GDALExtendedDataType &bufferType, void *buffer) const override;

  private:
    CubeArray(const std::string &name, const std::shared_ptr<Cube> &cube, const std::shared_ptr<GDALPamMultiDim> &pam);

    struct Slab;

    void Read(const Slab &slab) const;

    std::shared_ptr<Cube> m_cube;
    std::vector<Moment> m_moments{};
    std::vector<std::shared_ptr<GDALDimension>> m_dimensions{};
    std::vector<std::shared_ptr<GDALMDArray>> m_indices{};
    std::vector<int32_t> m_bands{};
    std::shared_ptr<OGRSpatialReference> m_srs{};
    Reading m_reading{};
    GDALExtendedDataType m_type;
    float m_noData{std::numeric_limits<float>::quiet_NaN()};
    std::string m_unit{};
    std::vector<std::shared_ptr<GDALAttribute>> m_attributes{};
};

}  // namespace gndc_driver
