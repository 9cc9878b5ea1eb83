#include "derivative.h"

#include <algorithm>
#include <limits>

#include "cpl_string.h"
#include "failure.h"

namespace gndc_driver
{

namespace
{

constexpr float SECONDS_PER_DAY = 86400.0F;
// points evaluated at once: bounds memory
constexpr size_t MOST_POINTS = 1 << 18;

struct Points
{
    std::vector<double> m_rows{};
    std::vector<double> m_cols{};

    size_t Size() const
    {
        return m_rows.size();
    }
};

Points Crossings(const double *rows, size_t rowCount, const std::vector<double> &cols)
{
    Points points;
    points.m_rows.reserve(rowCount * cols.size());
    points.m_cols.reserve(rowCount * cols.size());
    for (size_t row = 0; row < rowCount; ++row)
    {
        points.m_rows.insert(points.m_rows.end(), cols.size(), rows[row]);
        points.m_cols.insert(points.m_cols.end(), cols.begin(), cols.end());
    }
    return points;
}

// Central differences over a pixel each way, for models that are constant within a pixel.
std::vector<float> Difference(Cube &cube, const Moment &moment, const Points &points, const std::vector<int32_t> &bands,
                              bool byCol, const Reading &reading)
{
    const double limit = static_cast<double>(byCol ? cube.GetMeta().m_width : cube.GetMeta().m_height) - 0.5;
    Points high = points;
    Points low = points;
    std::vector<double> &up = byCol ? high.m_cols : high.m_rows;
    std::vector<double> &down = byCol ? low.m_cols : low.m_rows;
    std::vector<float> distances(points.Size());
    for (size_t i = 0; i < points.Size(); ++i)
    {
        up[i] = std::min(up[i] + 1, limit);
        down[i] = std::max(down[i] - 1, 0.5);
        distances[i] = static_cast<float>(up[i] - down[i]);
        // where both ends lie in one pixel nothing is known of the change
        if (distances[i] == 0.0F)
            distances[i] = std::numeric_limits<float>::quiet_NaN();
    }
    std::vector<float> above = cube.ReadTangents(moment, high.m_rows, high.m_cols, bands, 0, reading);
    const std::vector<float> below = cube.ReadTangents(moment, low.m_rows, low.m_cols, bands, 0, reading);
    for (size_t i = 0; i < above.size(); ++i)
        above[i] = (above[i] - below[i]) / distances[i / bands.size()];
    return above;
}

// By column and row -> by x or y: the chain rule through the affine transform. Without one, y is minus the row.
void ToReference(const Meta &meta, Axis axis, const float *byCol, const float *byRow, size_t count, float *out)
{
    const std::array<double, 6> &t = meta.m_transform;
    const double a = meta.m_hasTransform ? t[0] : 1.0;
    const double b = meta.m_hasTransform ? t[1] : 0.0;
    const double d = meta.m_hasTransform ? t[3] : 0.0;
    const double e = meta.m_hasTransform ? t[4] : -1.0;
    const bool byX = axis == Axis::X;
    if (b == 0.0 && d == 0.0)
    {
        const float *const from = byX ? byCol : byRow;
        const float factor = static_cast<float>(1 / (byX ? a : e));
        for (size_t i = 0; i < count; ++i)
            out[i] = from[i] * factor;
        return;
    }
    const double determinant = a * e - b * d;
    const float *const main = byX ? byCol : byRow;
    const float *const other = byX ? byRow : byCol;
    const float mainFactor = static_cast<float>((byX ? e : a) / determinant);
    const float otherFactor = static_cast<float>((byX ? d : b) / determinant);
    for (size_t i = 0; i < count; ++i)
        out[i] = main[i] * mainFactor - other[i] * otherFactor;
}

}  // namespace

std::optional<Derivative> Derivative::Find(const std::string &name)
{
    const std::string lower = CPLString(name).tolower();
    if (lower == "dx")
        return Derivative(lower, Axis::X);
    if (lower == "dy")
        return Derivative(lower, Axis::Y);
    if (lower == "dt")
        return Derivative(lower, Axis::TIME);
    return std::nullopt;
}

std::string Derivative::UnitOf(const std::string &unit, const OGRSpatialReference *srs) const
{
    const char *below = "day";
    if (m_axis != Axis::TIME)
    {
        below = "pixel";
        if (srs && srs->IsGeographic())
            below = "degree";
        else if (srs && !srs->IsEmpty())
            srs->GetLinearUnits(&below);
    }
    return (unit.empty() ? "1" : unit) + "/" + below;
}

void Derivative::Read(Cube &cube, const Moment &moment, const std::vector<double> &rows, const std::vector<double> &cols,
                      const std::vector<int32_t> &bands, const Target &target, const Reading &reading) const
{
    const Meta &meta = cube.GetMeta();
    if (m_axis == Axis::TIME && meta.m_times.empty())
        Fail("%s: the frames of this cube have no dates, so it has no derivative by time", cube.Path().c_str());
    const size_t step = std::max<size_t>(1, MOST_POINTS / cols.size());
    for (size_t first = 0; first < rows.size(); first += step)
    {
        const size_t rowCount = std::min(step, rows.size() - first);
        const Points points = Crossings(rows.data() + first, rowCount, cols);
        const size_t count = points.Size() * bands.size();
        std::vector<float> values(count);
        if (m_axis == Axis::TIME)
        {
            const std::vector<float> found =
                cube.ReadTangents(moment, points.m_rows, points.m_cols, bands, GNDC_BY_TIME, reading);
            for (size_t i = 0; i < count; ++i)
                values[i] = found[count + i] * SECONDS_PER_DAY;
        }
        else if (cube.DecodesBlocks(moment, points.m_rows, points.m_cols))
        {
            const std::vector<float> byCol = Difference(cube, moment, points, bands, true, reading);
            const std::vector<float> byRow = Difference(cube, moment, points, bands, false, reading);
            ToReference(meta, m_axis, byCol.data(), byRow.data(), count, values.data());
        }
        else
        {
            const std::vector<float> found =
                cube.ReadTangents(moment, points.m_rows, points.m_cols, bands, GNDC_BY_COLUMN | GNDC_BY_ROW, reading);
            ToReference(meta, m_axis, found.data() + count, found.data() + 2 * count, count, values.data());
        }
        const float *at = values.data();
        for (size_t row = first; row < first + rowCount; ++row)
            for (size_t col = 0; col < cols.size(); ++col)
                for (size_t band = 0; band < bands.size(); ++band)
                    target.m_out[static_cast<int64_t>(row) * target.m_rowStride +
                                 static_cast<int64_t>(col) * target.m_colStride +
                                 static_cast<int64_t>(band) * target.m_bandStride] = *at++;
    }
}

}  // namespace gndc_driver
