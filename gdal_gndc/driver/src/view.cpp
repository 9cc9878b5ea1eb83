#include "view.h"

#include <limits>
#include <numeric>

#include "cpl_string.h"
#include "failure.h"

namespace gndc_driver
{

View View::OfMoment(const std::shared_ptr<Cube> &cube, const Moment &moment, const std::vector<int32_t> &bands)
{
    View view;
    view.m_cube = cube;
    view.m_moments = {moment};
    view.m_bands = bands;
    return view;
}

View View::OfBand(const std::shared_ptr<Cube> &cube, int32_t band, const std::vector<Moment> &moments)
{
    View view;
    view.m_cube = cube;
    view.m_isSeries = true;
    view.m_moments = moments;
    view.m_bands = {band};
    return view;
}

View View::OfProduct(const std::shared_ptr<Cube> &cube, const Product &product, const std::vector<Moment> &moments,
                     bool isSeries)
{
    View view;
    view.m_cube = cube;
    view.m_isSeries = isSeries;
    view.m_moments = moments;
    view.m_bands = product.Bands();
    view.m_product = product;
    return view;
}

View View::Derived(const Derivative &derivative) const
{
    View view = *this;
    view.m_derivative = derivative;
    return view;
}

int32_t View::BandIndexOf(int plane) const
{
    if (m_product)
        return -1;
    return m_bands[m_isSeries ? 0 : static_cast<size_t>(plane)];
}

const Band *View::BandOf(int plane) const
{
    return m_product ? nullptr : &m_cube->GetMeta().m_bands[static_cast<size_t>(BandIndexOf(plane))];
}

float View::Fill() const
{
    return m_product || m_derivative ? std::numeric_limits<float>::quiet_NaN() : m_cube->Fill();
}

void View::Read(const std::vector<double> &rows, const std::vector<double> &cols, const std::vector<int> &planes,
                const Target &target, const Reading &reading) const
{
    if (!m_isSeries && !m_product)
    {
        std::vector<int32_t> bands;
        for (const int plane : planes)
            bands.push_back(BandIndexOf(plane));
        ReadBands(m_moments.front(), rows, cols, bands, target, reading);
        return;
    }
    if (!m_derivative && planes.size() > 1 && rows.size() == 1 && cols.size() == 1)
    {
        std::vector<Moment> moments;
        for (const int plane : planes)
            moments.push_back(MomentOf(plane));
        ReadPoint(rows[0], cols[0], moments, target.m_out, target.m_bandStride, reading);
        return;
    }
    for (size_t i = 0; i < planes.size(); ++i)
    {
        Target plane = target;
        plane.m_out += static_cast<int64_t>(i) * target.m_bandStride;
        ReadPlane(MomentOf(planes[i]), rows, cols, plane, reading);
    }
}

void View::ReadBands(const Moment &moment, const std::vector<double> &rows, const std::vector<double> &cols,
                     const std::vector<int32_t> &bands, const Target &target, const Reading &reading) const
{
    if (m_derivative)
        m_derivative->Read(*m_cube, moment, rows, cols, bands, target, reading);
    else
        m_cube->ReadGrid(moment, rows, cols, bands, target, reading);
}

void View::ReadPlane(const Moment &moment, const std::vector<double> &rows, const std::vector<double> &cols,
                     const Target &target, const Reading &reading) const
{
    if (!m_product)
    {
        ReadBands(moment, rows, cols, m_bands, target, reading);
        return;
    }
    const int64_t count = static_cast<int64_t>(m_bands.size());
    const int64_t width = static_cast<int64_t>(cols.size());
    std::vector<float> values(rows.size() * cols.size() * m_bands.size());
    m_cube->ReadGrid(moment, rows, cols, m_bands, {values.data(), width * count, count, 1}, reading);
    const float *at = values.data();
    for (size_t row = 0; row < rows.size(); ++row)
        for (int64_t col = 0; col < width; ++col, at += count)
            target.m_out[static_cast<int64_t>(row) * target.m_rowStride + col * target.m_colStride] =
                m_product->Of(at, 1);
}

void View::ReadPoint(double row, double col, const std::vector<Moment> &moments, float *out, int64_t stride,
                     const Reading &reading) const
{
    std::vector<float> values(moments.size() * m_bands.size());
    m_cube->ReadSeries(row, col, moments, m_bands, values.data(), reading);
    for (size_t i = 0; i < moments.size(); ++i)
    {
        const float *at = values.data() + i * m_bands.size();
        out[static_cast<int64_t>(i) * stride] = m_product ? m_product->Of(at, 1) : *at;
    }
}

int32_t FindBand(const Cube &cube, const std::string &name)
{
    const std::vector<Band> &bands = cube.GetMeta().m_bands;
    for (size_t i = 0; i < bands.size(); ++i)
        if (bands[i].m_name == name)
            return static_cast<int32_t>(i);
    for (size_t i = 0; i < bands.size(); ++i)
        if (EQUAL(bands[i].m_name.c_str(), name.c_str()))
            return static_cast<int32_t>(i);
    const bool number = !name.empty() && name.size() < 10 && name.find_first_not_of("0123456789") == std::string::npos;
    const int index = number ? atoi(name.c_str()) : 0;
    if (index < 1 || index > static_cast<int>(bands.size()))
    {
        std::string known;
        for (const Band &band : bands)
            known += (known.empty() ? "" : ", ") + band.m_name;
        Fail("%s: band=%s is not in the cube, expected 1 to %zu or one of %s", cube.Path().c_str(),
             Shown(name).c_str(), bands.size(), Shown(known).c_str());
    }
    return index - 1;
}

std::vector<int32_t> FindBands(const Cube &cube, const std::string &names)
{
    std::vector<int32_t> bands(cube.GetMeta().m_bands.size());
    std::iota(bands.begin(), bands.end(), 0);
    if (names.empty())
        return bands;
    bands.clear();
    const CPLStringList list(CSLTokenizeString2(names.c_str(), ",", CSLT_STRIPLEADSPACES | CSLT_STRIPENDSPACES), TRUE);
    for (int i = 0; i < list.Count(); ++i)
        bands.push_back(FindBand(cube, list[i]));
    if (bands.empty())
        Fail("%s: BANDS names no band, expected names or numbers separated by commas", cube.Path().c_str());
    return bands;
}

}  // namespace gndc_driver
