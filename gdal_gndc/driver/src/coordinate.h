// The indexing variable of a dimension: numbers, or names.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "compat.h"

namespace gndc_driver
{

class Coordinate final : public GDALMDArray
{
  public:
    using Attributes = std::vector<std::pair<std::string, std::string>>;

    /** @param values one a place of the dimension
     *  @param unit as CF writes it, may be empty */
    static std::shared_ptr<Coordinate> OfNumbers(const std::shared_ptr<GDALDimension> &dimension,
                                                 const std::string &file, const std::vector<double> &values,
                                                 const std::string &unit, const Attributes &attributes);
    static std::shared_ptr<Coordinate> OfNames(const std::shared_ptr<GDALDimension> &dimension,
                                               const std::string &file, const std::vector<std::string> &names,
                                               const Attributes &attributes);

    bool IsWritable() const override
    {
        return false;
    }

    const std::string &GetFilename() const override
    {
        return m_file;
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

    std::vector<std::shared_ptr<GDALAttribute>> GetAttributes(CSLConstList options) const override;

  protected:
    bool IRead(const GUInt64 *start, const size_t *count, const GInt64 *step, const GPtrDiff_t *stride,
               const GDALExtendedDataType &bufferType, void *buffer) const override;

  private:
    Coordinate(const std::shared_ptr<GDALDimension> &dimension, const std::string &file,
               const GDALExtendedDataType &type, const Attributes &attributes);

    std::string m_file;
    std::vector<std::shared_ptr<GDALDimension>> m_dimensions;
    GDALExtendedDataType m_type;
    std::string m_unit{};
    std::vector<double> m_numbers{};
    std::vector<std::string> m_names{};
    std::vector<std::shared_ptr<GDALAttribute>> m_attributes{};
};

}  // namespace gndc_driver
