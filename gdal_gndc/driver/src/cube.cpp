#include "cube.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "failure.h"
#include "times.h"

namespace gndc_driver
{

namespace
{

std::atomic<uint64_t> nextId{1};

}  // namespace

Cube::Cube(const std::string &path) : m_id(nextId++), m_container(Container::Open(path))
{
    for (const char *entry : {"meta.json", "manifest.json"})
        if (!m_container->Has(entry))
            Fail("%s: found no %s, expected a GNDC container", path.c_str(), entry);
    const auto in = [this, &path](const char *entry, auto parse)
    {
        const std::vector<uint8_t> data = m_container->Read(entry);
        In(path + ": " + entry, [&] { parse(data); });
    };
    in("meta.json", [this](const auto &data) { m_meta = Meta::Parse(data); });
    in("manifest.json", [this](const auto &data) { m_manifest = Manifest::Parse(data, m_meta); });
    for (const int64_t micros : m_meta.m_times)
        m_seconds.push_back(ToSeconds(micros));
    m_ascending = std::is_sorted(m_seconds.begin(), m_seconds.end());
}

Cube::~Cube()
{
    Cache::Shared().Forget(m_id);
}

gndc_cube Cube::Core() const
{
    gndc_cube core = {};
    core.n_frames = m_meta.m_frames;
    core.height = m_meta.m_height;
    core.width = m_meta.m_width;
    core.overlap = m_manifest.m_overlap;
    core.t_overlap = m_manifest.m_timeOverlap;
    core.n_chunks = static_cast<int64_t>(m_manifest.m_files.size());
    core.bounds = m_manifest.m_bounds.data();
    return core;
}

float Cube::Fill() const
{
    return m_meta.m_missingFill ? static_cast<float>(*m_meta.m_missingFill) : std::numeric_limits<float>::quiet_NaN();
}

bool Cube::Observes(const Moment &moment, int32_t band) const
{
    if (moment.m_index < 0 || m_meta.m_frameSensors.empty())
        return true;
    const int64_t sensor = m_meta.m_frameSensors[static_cast<size_t>(moment.m_index)];
    return m_meta.m_sensors[static_cast<size_t>(sensor)].m_observes[static_cast<size_t>(band)];
}

Moment Cube::FrameAt(int64_t index) const
{
    Moment moment;
    moment.m_index = index;
    moment.m_frame = static_cast<double>(index) + 0.5;
    if (!m_meta.m_times.empty())
        moment.m_micros = m_meta.m_times[static_cast<size_t>(index)];
    return moment;
}

std::shared_ptr<const Chunk> Cube::GetChunk(int64_t index)
{
    const Cache::Key key(m_id, Cache::Kind::CHUNK, index, 0);
    if (const Cache::Item found = Cache::Shared().Find(key))
        return std::static_pointer_cast<const Chunk>(found);
    std::lock_guard<std::mutex> lock(m_loading);
    if (const Cache::Item found = Cache::Shared().Find(key))
        return std::static_pointer_cast<const Chunk>(found);
    const std::string &file = m_manifest.m_files[static_cast<size_t>(index)];
    const std::vector<uint8_t> blob = m_container->Read(file);
    const gndc_cube core = Core();
    int64_t stored[6] = {};
    gndc_stored_extent(&core, index, stored);
    const std::shared_ptr<const Chunk> chunk =
        In(Path() + ": " + Shown(file),
           [&] { return Chunk::Parse(blob, m_meta, m_manifest.m_bounds.data() + 6 * index, stored); });
    Cache::Shared().Keep(key, chunk, chunk->ByteCount());
    return chunk;
}

int64_t Cube::NearestFrame(const Moment &moment, const int64_t *stored) const
{
    const int64_t count = stored[1] - stored[0];
    if (moment.m_index >= stored[0] && moment.m_index < stored[1])
        return moment.m_index - stored[0];
    if (m_seconds.empty())
        return 0;
    return gndc_nearest_frame(m_seconds.data() + stored[0], count, ToSeconds(moment.m_micros));
}

std::shared_ptr<const std::vector<uint8_t>> Cube::GetMain(int64_t index, const Chunk &chunk, const std::string &place)
{
    constexpr int64_t ALL_FRAMES = -1;
    Cache &cache = Cache::Shared();
    const Cache::Key key(m_id, Cache::Kind::RESIDUAL, index, ALL_FRAMES);
    if (const Cache::Item found = cache.Find(key))
        return std::static_pointer_cast<const std::vector<uint8_t>>(found);
    std::lock_guard<std::mutex> lock(m_loading);
    if (const Cache::Item found = cache.Find(key))
        return std::static_pointer_cast<const std::vector<uint8_t>>(found);
    const auto main = In(place, [&chunk]
                         { return std::make_shared<const std::vector<uint8_t>>(chunk.GetResiduals().UnpackMain()); });
    cache.Keep(key, main, static_cast<int64_t>(main->size()));
    return main;
}

Cube::Share Cube::GetShare(int64_t index, const Moment &moment, const Reading &reading)
{
    Share share;
    const gndc_cube core = Core();
    share.m_weight = gndc_time_weight(&core, index, moment.m_frame);
    share.m_chunk = GetChunk(index);
    const Chunk &chunk = *share.m_chunk;
    if (!m_seconds.empty())
        share.m_t = gndc_normalise_time(ToSeconds(moment.m_micros), chunk.Start(), chunk.End());
    const int64_t frame = NearestFrame(moment, chunk.Core().stored);
    const std::string place = Path() + ": " + Shown(m_manifest.m_files[static_cast<size_t>(index)]);
    Cache &cache = Cache::Shared();
    if (!chunk.GetMask().IsEmpty() && reading.m_mask == MaskMode::NODATA)
    {
        const int64_t bitmap = chunk.GetMask().IndexOf(frame);
        const Cache::Key key(m_id, Cache::Kind::MASK, index, bitmap);
        share.m_mask = std::static_pointer_cast<const std::vector<uint8_t>>(cache.Find(key));
        if (!share.m_mask)
        {
            share.m_mask = In(place, [&]
                              { return std::make_shared<const std::vector<uint8_t>>(chunk.GetMask().Unpack(bitmap)); });
            cache.Keep(key, share.m_mask, static_cast<int64_t>(share.m_mask->size()));
        }
    }
    if (!chunk.GetResiduals().IsEmpty())
    {
        const Cache::Key key(m_id, Cache::Kind::RESIDUAL, index, frame);
        share.m_residual = std::static_pointer_cast<const gndc_residual>(cache.Find(key));
        if (!share.m_residual)
        {
            const std::shared_ptr<const std::vector<uint8_t>> main =
                chunk.GetResiduals().HasMain() ? GetMain(index, chunk, place) : nullptr;
            share.m_residual = In(
                place,
                [&] { return std::shared_ptr<const gndc_residual>(chunk.GetResiduals().Unpack(frame, main.get())); });
            if (share.m_residual)
                cache.Keep(key, share.m_residual, gndc_residual_bytes(share.m_residual.get()));
        }
    }
    return share;
}

void Cube::ReadGrid(const Moment &moment, const std::vector<double> &rows, const std::vector<double> &cols,
                    const std::vector<int32_t> &bands, const Target &target, const Reading &reading)
{
    const gndc_cube core = Core();
    std::vector<float> weights(gndc_blends(&core) ? rows.size() * cols.size() : 0);
    gndc_grid grid = {};
    grid.n_rows = static_cast<int64_t>(rows.size());
    grid.n_cols = static_cast<int64_t>(cols.size());
    grid.n_bands = static_cast<int64_t>(bands.size());
    grid.rows = rows.data();
    grid.cols = cols.data();
    grid.bands = bands.data();
    grid.out = target.m_out;
    grid.row_stride = target.m_rowStride;
    grid.col_stride = target.m_colStride;
    grid.band_stride = target.m_bandStride;
    grid.weights = weights.empty() ? nullptr : weights.data();
    grid.precision = reading.m_precision;

    gndc_grid_begin(&grid, Fill());
    char message[GNDC_MESSAGE] = {};
    for (const int64_t index : Route(moment, rows, cols))
    {
        const Share share = GetShare(index, moment, reading);
        if (gndc_grid_add(&grid, &share.m_chunk->Core(), share.m_t, share.m_weight,
                          share.m_mask ? share.m_mask->data() : nullptr, share.m_residual.get(), reading.m_threads,
                          message) != GNDC_OK)
            Fail("%s: %s: %s", Path().c_str(), Shown(m_manifest.m_files[static_cast<size_t>(index)]).c_str(), message);
    }
    gndc_grid_end(&grid, Fill());
    for (int64_t b = 0; b < grid.n_bands; ++b)
        if (!Observes(moment, bands[static_cast<size_t>(b)]))
            for (int64_t row = 0; row < grid.n_rows; ++row)
                for (int64_t col = 0; col < grid.n_cols; ++col)
                    grid.out[row * grid.row_stride + col * grid.col_stride + b * grid.band_stride] =
                        std::numeric_limits<float>::quiet_NaN();
}

void Cube::ReadSeries(double row, double col, const std::vector<Moment> &moments, const std::vector<int32_t> &bands,
                      float *out, const Reading &reading)
{
    const gndc_cube core = Core();
    std::vector<float> weights(gndc_blends(&core) ? moments.size() : 0);
    gndc_series series = {};
    series.n_points = 1;
    series.n_times = static_cast<int64_t>(moments.size());
    series.n_bands = static_cast<int64_t>(bands.size());
    series.rows = &row;
    series.cols = &col;
    series.bands = bands.data();
    series.out = out;
    series.weights = weights.empty() ? nullptr : weights.data();
    series.precision = reading.m_precision;

    // which moments every chunk at this place answers
    std::vector<std::vector<size_t>> answers(static_cast<size_t>(core.n_chunks));
    std::vector<int64_t> routed(static_cast<size_t>(core.n_chunks));
    for (size_t i = 0; i < moments.size(); ++i)
    {
        const int64_t count = gndc_route(&core, moments[i].m_frame, std::floor(row), std::floor(row) + 1,
                                         std::floor(col), std::floor(col) + 1, routed.data());
        for (int64_t k = 0; k < count; ++k)
            answers[static_cast<size_t>(routed[static_cast<size_t>(k)])].push_back(i);
    }
    gndc_series_begin(&series, Fill());
    char message[GNDC_MESSAGE] = {};
    for (size_t index = 0; index < answers.size(); ++index)
    {
        if (answers[index].empty())
            continue;
        std::vector<float> t(moments.size());
        std::vector<double> timeWeights(moments.size());
        std::vector<const uint8_t *> masks(moments.size());
        std::vector<const gndc_residual *> residuals(moments.size());
        std::vector<Share> shares;
        for (const size_t i : answers[index])
        {
            shares.push_back(GetShare(static_cast<int64_t>(index), moments[i], reading));
            const Share &share = shares.back();
            t[i] = share.m_t;
            timeWeights[i] = share.m_weight;
            masks[i] = share.m_mask ? share.m_mask->data() : nullptr;
            residuals[i] = share.m_residual.get();
        }
        if (gndc_series_add(&series, &shares.front().m_chunk->Core(), t.data(), timeWeights.data(), masks.data(),
                            residuals.data(), reading.m_threads, message) != GNDC_OK)
            Fail("%s: %s: %s", Path().c_str(), Shown(m_manifest.m_files[index]).c_str(), message);
    }
    gndc_series_end(&series, Fill());
    for (size_t i = 0; i < moments.size(); ++i)
        for (size_t b = 0; b < bands.size(); ++b)
            if (!Observes(moments[i], bands[b]))
                out[i * bands.size() + b] = std::numeric_limits<float>::quiet_NaN();
}

}  // namespace gndc_driver
