// The root group of a cube in the multidimensional API.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compat.h"
#include "cube.h"
#include "gdal_pam.h"

namespace gndc_driver
{

class Group final : public GDALGroup
{
  public:
    /** @param moments the places of the time dimension
     *  @param pam where GDAL keeps statistics of the arrays, may be null
     *  @param together one array "values" over time, y, x and band instead of one a band over time, y and x */
    static std::shared_ptr<Group> Create(const std::shared_ptr<Cube> &cube, const std::vector<Moment> &moments,
                                         bool together, const OGRSpatialReference &srs, const Reading &reading,
                                         const std::shared_ptr<GDALPamMultiDim> &pam);

    std::vector<std::string> GetMDArrayNames(CSLConstList options) const override;
    std::shared_ptr<GDALMDArray> OpenMDArray(const std::string &name, CSLConstList options) const override;
    std::vector<std::shared_ptr<GDALDimension>> GetDimensions(CSLConstList options) const override;
    std::vector<std::shared_ptr<GDALAttribute>> GetAttributes(CSLConstList options) const override;

  private:
    Group();

    using Dimension = std::shared_ptr<GDALDimensionWeakIndexingVar>;

    void AddTime(const Cube &cube, const std::vector<Moment> &moments);
    void AddPlace(const Cube &cube, const OGRSpatialReference &srs);
    void AddBands(const Cube &cube);
    Dimension AddDimension(const std::string &name, const char *type, const char *direction, size_t size);
    void AddIndex(const Dimension &dimension, const std::shared_ptr<GDALMDArray> &array);
    std::string FreeName(const std::string &wanted) const;

    std::vector<std::shared_ptr<GDALDimension>> m_dimensions{};
    std::vector<std::shared_ptr<GDALMDArray>> m_arrays{};
    std::vector<std::shared_ptr<GDALAttribute>> m_attributes{};
};

}  // namespace gndc_driver
