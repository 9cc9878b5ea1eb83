#include "group.h"

#include <algorithm>
#include <numeric>

#include "coordinate.h"
#include "cubearray.h"
#include "times.h"

namespace gndc_driver
{

namespace
{

constexpr const char *TIME_UNIT = "seconds since 1970-01-01 00:00:00";

// The axes of the reference system are those of the last two of time, y, x.
std::shared_ptr<OGRSpatialReference> ForArrays(const OGRSpatialReference &srs)
{
    if (srs.IsEmpty())
        return nullptr;
    constexpr int Y_DIMENSION = 2;
    constexpr int X_DIMENSION = 3;
    std::shared_ptr<OGRSpatialReference> found(srs.Clone());
    std::vector<int> mapping;
    for (const int axis : srs.GetDataAxisToSRSAxisMapping())
        mapping.push_back(axis == 1 ? X_DIMENSION : axis == 2 ? Y_DIMENSION : axis);
    found->SetDataAxisToSRSAxisMapping(mapping);
    return found;
}

}  // namespace

Group::Group() : GDALGroup("", "/")
{
}

std::shared_ptr<Group> Group::Create(const std::shared_ptr<Cube> &cube, const std::vector<Moment> &moments, bool together,
                                     const OGRSpatialReference &srs, const Reading &reading,
                                     const std::shared_ptr<GDALPamMultiDim> &pam)
{
    std::shared_ptr<Group> group(new Group);
    group->AddTime(*cube, moments);
    group->AddPlace(*cube, srs);
    const std::vector<Band> &bands = cube->GetMeta().m_bands;
    if (together)
        group->AddBands(*cube);
    const std::vector<std::shared_ptr<GDALMDArray>> indices = group->m_arrays;
    const std::shared_ptr<OGRSpatialReference> place = ForArrays(srs);
    const auto add = [&](const std::string &name, const std::vector<int32_t> &some)
    {
        group->m_arrays.push_back(
            CubeArray::Create(name, cube, moments, group->m_dimensions, indices, some, place, reading, pam));
    };
    if (together)
    {
        std::vector<int32_t> all(bands.size());
        std::iota(all.begin(), all.end(), 0);
        add("values", all);
    }
    else
    {
        for (size_t i = 0; i < bands.size(); ++i)
            add(group->FreeName(bands[i].m_name), {static_cast<int32_t>(i)});
    }
    group->m_attributes.push_back(std::make_shared<GDALAttributeString>("/", "Conventions", "CF-1.8"));
    return group;
}

Group::Dimension Group::AddDimension(const std::string &name, const char *type, const char *direction, size_t size)
{
    const Dimension dimension = std::make_shared<GDALDimensionWeakIndexingVar>("/", name, type, direction, size);
    m_dimensions.push_back(dimension);
    return dimension;
}

void Group::AddIndex(const Dimension &dimension, const std::shared_ptr<GDALMDArray> &array)
{
    m_arrays.push_back(array);
    dimension->SetIndexingVariable(array);
}

void Group::AddTime(const Cube &cube, const std::vector<Moment> &moments)
{
    const Dimension time = AddDimension("time", GDAL_DIM_TYPE_TEMPORAL, "", moments.size());
    if (cube.GetMeta().m_times.empty())
        return;
    std::vector<double> seconds;
    for (const Moment &moment : moments)
        seconds.push_back(ToSeconds(moment.m_micros));
    AddIndex(time, Coordinate::OfNumbers(time, cube.Path(), seconds, TIME_UNIT,
                                         {{"standard_name", "time"}, {"calendar", "proleptic_gregorian"}}));
}

void Group::AddPlace(const Cube &cube, const OGRSpatialReference &srs)
{
    const Meta &meta = cube.GetMeta();
    const auto &[a, b, c, d, e, f] = meta.m_transform;
    const bool straight = meta.m_hasTransform && b == 0.0 && d == 0.0;
    const bool geographic = srs.IsGeographic();
    const Dimension y = AddDimension("y", GDAL_DIM_TYPE_HORIZONTAL_Y, straight ? (e < 0 ? "SOUTH" : "NORTH") : "",
                                     static_cast<size_t>(meta.m_height));
    const Dimension x = AddDimension("x", GDAL_DIM_TYPE_HORIZONTAL_X, straight ? (a < 0 ? "WEST" : "EAST") : "",
                                     static_cast<size_t>(meta.m_width));
    if (!straight)
        return;
    const auto centres = [](double origin, double size, int64_t count)
    {
        std::vector<double> values;
        for (int64_t i = 0; i < count; ++i)
            values.push_back(origin + (static_cast<double>(i) + 0.5) * size);
        return values;
    };
    const bool metres = !srs.IsEmpty() && !geographic && srs.GetLinearUnits() == 1.0;
    AddIndex(y, Coordinate::OfNumbers(y, cube.Path(), centres(f, e, meta.m_height),
                                      geographic ? "degrees_north" : metres ? "m" : "",
                                      {{"standard_name", geographic ? "latitude" : "projection_y_coordinate"}}));
    AddIndex(x, Coordinate::OfNumbers(x, cube.Path(), centres(c, a, meta.m_width),
                                      geographic ? "degrees_east" : metres ? "m" : "",
                                      {{"standard_name", geographic ? "longitude" : "projection_x_coordinate"}}));
}

void Group::AddBands(const Cube &cube)
{
    std::vector<std::string> names;
    for (const Band &band : cube.GetMeta().m_bands)
        names.push_back(band.m_name);
    const Dimension band = AddDimension("band", "", "", names.size());
    AddIndex(band, Coordinate::OfNames(band, cube.Path(), names, {{"long_name", "name of the band"}}));
}

// A band called as a dimension, or as another band, gets a number behind its name.
std::string Group::FreeName(const std::string &wanted) const
{
    std::string base = wanted;
    std::replace(base.begin(), base.end(), '/', '_');
    const auto taken = [this](const std::string &name)
    {
        return std::any_of(m_arrays.begin(), m_arrays.end(),
                           [&name](const auto &array) { return array->GetName() == name; }) ||
               std::any_of(m_dimensions.begin(), m_dimensions.end(),
                           [&name](const auto &dimension) { return dimension->GetName() == name; });
    };
    std::string name = base;
    for (int i = 2; taken(name); ++i)
        name = base + "_" + std::to_string(i);
    return name;
}

std::vector<std::string> Group::GetMDArrayNames(CSLConstList) const
{
    std::vector<std::string> names;
    for (const auto &array : m_arrays)
        names.push_back(array->GetName());
    return names;
}

std::shared_ptr<GDALMDArray> Group::OpenMDArray(const std::string &name, CSLConstList) const
{
    for (const auto &array : m_arrays)
        if (array->GetName() == name)
            return array;
    return nullptr;
}

std::vector<std::shared_ptr<GDALDimension>> Group::GetDimensions(CSLConstList) const
{
    return m_dimensions;
}

std::vector<std::shared_ptr<GDALAttribute>> Group::GetAttributes(CSLConstList) const
{
    return m_attributes;
}

}  // namespace gndc_driver
