#include "coordinate.h"

namespace gndc_driver
{

Coordinate::Coordinate(const std::shared_ptr<GDALDimension> &dimension, const std::string &file,
                       const GDALExtendedDataType &type, const Attributes &attributes)
    : GDALAbstractMDArray("/", dimension->GetName()), GDALMDArray("/", dimension->GetName()), m_file(file),
      m_dimensions{dimension}, m_type(type)
{
    for (const auto &item : attributes)
        m_attributes.push_back(std::make_shared<GDALAttributeString>(GetFullName(), item.first, item.second));
}

std::shared_ptr<Coordinate> Coordinate::OfNumbers(const std::shared_ptr<GDALDimension> &dimension,
                                                  const std::string &file, const std::vector<double> &values,
                                                  const std::string &unit, const Attributes &attributes)
{
    std::shared_ptr<Coordinate> array(
        new Coordinate(dimension, file, GDALExtendedDataType::Create(GDT_Float64), attributes));
    array->SetSelf(array);
    array->m_numbers = values;
    array->m_unit = unit;
    return array;
}

std::shared_ptr<Coordinate> Coordinate::OfNames(const std::shared_ptr<GDALDimension> &dimension,
                                                const std::string &file, const std::vector<std::string> &names,
                                                const Attributes &attributes)
{
    std::shared_ptr<Coordinate> array(
        new Coordinate(dimension, file, GDALExtendedDataType::CreateString(), attributes));
    array->SetSelf(array);
    array->m_names = names;
    return array;
}

std::vector<std::shared_ptr<GDALAttribute>> Coordinate::GetAttributes(CSLConstList) const
{
    return m_attributes;
}

bool Coordinate::IRead(const GUInt64 *start, const size_t *count, const GInt64 *step, const GPtrDiff_t *stride,
                       const GDALExtendedDataType &bufferType, void *buffer) const
{
    GByte *out = static_cast<GByte *>(buffer);
    for (size_t i = 0; i < count[0]; ++i)
    {
        const size_t at = static_cast<size_t>(static_cast<GInt64>(start[0]) + static_cast<GInt64>(i) * step[0]);
        const char *name = m_names.empty() ? nullptr : m_names[at].c_str();
        const void *value = m_names.empty() ? static_cast<const void *>(&m_numbers[at]) : &name;
        if (!GDALExtendedDataType::CopyValue(value, m_type, out, bufferType))
            return false;
        out += stride[0] * static_cast<GPtrDiff_t>(bufferType.GetSize());
    }
    return true;
}

}  // namespace gndc_driver
