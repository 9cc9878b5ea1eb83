// Many chunks as one continuous cube: routing, caching, reading.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cache.h"
#include "chunk.h"
#include "container.h"
#include "gndc_core.h"
#include "gndc_tangent.h"
#include "manifest.h"
#include "meta.h"
#include "reading.h"

namespace gndc_driver
{

/** A time of the cube. */
struct Moment
{
    int64_t m_index{-1};  // the observed frame, or -1 between observations
    int64_t m_micros{};   // since 1970; meaningless if the cube has no times
    double m_frame{};     // continuous frame coordinate: i + 0.5 at frame i
};

/** Where samples go: value (row, col, band) at out[row * rowStride + col * colStride + band * bandStride]. */
struct Target
{
    float *m_out{};
    int64_t m_rowStride{};
    int64_t m_colStride{};
    int64_t m_bandStride{};
};

class Cube final
{
  public:
    /** Opens a container, or finds it open already: what is unchanged on disk is shared in the process. Reads the
     *  directory, meta.json and manifest.json. Throws Failure. */
    static std::shared_ptr<Cube> Open(const std::string &path);

    ~Cube();
    Cube(const Cube &) = delete;
    Cube &operator=(const Cube &) = delete;

    const std::string &Path() const
    {
        return m_container->Path();
    }

    const Meta &GetMeta() const
    {
        return m_meta;
    }

    const Container &GetContainer() const
    {
        return *m_container;
    }

    /** The value of pixels that no chunk covers. */
    float Fill() const;
    Moment FrameAt(int64_t index) const;
    /** What a time of the connection string means: a frame index, an observation (within a second, or the day's first),
     *  or a moment between the first and the last observation; with `clamp` the nearest of these two for a time beyond.
     *  Throws Failure. */
    Moment Resolve(const std::string &text, bool clamp = false) const;
    /** The observation within a second of a time, or the moment between observations. Throws Failure. */
    Moment At(int64_t micros) const;
    int64_t ObservedAt(int64_t micros) const;

    /** Values at every crossing of rows and cols (ascending continuous pixel coordinates) for 0-based bands, NaN where
     *  there is none. Throws Failure; any number of threads may call it. */
    void ReadGrid(const Moment &moment, const std::vector<double> &rows, const std::vector<double> &cols,
                  const std::vector<int32_t> &bands, const Target &target, const Reading &reading);

    /** Values at one point for many moments, (moment, band): those of ReadGrid there but for float32 rounding. */
    void ReadSeries(double row, double col, const std::vector<Moment> &moments, const std::vector<int32_t> &bands,
                    float *out, const Reading &reading);

    /** Values at points (rows and cols of one length) and their derivatives by the axes GNDC_BY_* : (1 + number of axes,
     *  points, bands), values first. By pixel column, pixel row and second. Throws Failure. */
    std::vector<float> ReadTangents(const Moment &moment, const std::vector<double> &rows,
                                    const std::vector<double> &cols, const std::vector<int32_t> &bands, int axes,
                                    const Reading &reading);
    /** Whether a model that decodes blocks of several pixels answers for any of the points: it has no derivative by
     *  column and row. */
    bool DecodesBlocks(const Moment &moment, const std::vector<double> &rows, const std::vector<double> &cols);

  private:
    explicit Cube(const std::string &path);

    // What one chunk contributes at one moment.
    struct Share
    {
        std::shared_ptr<const Chunk> m_chunk{};
        float m_t{};
        double m_weight{};
        std::shared_ptr<const std::vector<uint8_t>> m_mask{};
        std::shared_ptr<const gndc_residual> m_residual{};
    };

    gndc_cube Core() const;
    std::shared_ptr<const Chunk> GetChunk(int64_t index);
    std::shared_ptr<const std::vector<uint8_t>> GetMain(int64_t index, const Chunk &chunk, const std::string &place);
    Share GetShare(int64_t index, const Moment &moment, const Reading &reading);
    std::vector<int64_t> Route(const Moment &moment, const std::vector<double> &rows,
                               const std::vector<double> &cols) const;
    int64_t NearestFrame(const Moment &moment, const int64_t *stored) const;
    bool Observes(const Moment &moment, int32_t band) const;

    uint64_t m_id{};
    std::unique_ptr<Container> m_container{};
    Meta m_meta{};
    Manifest m_manifest{};
    std::vector<double> m_seconds{};
    bool m_ascending{};
    std::mutex m_loading{};
};

}  // namespace gndc_driver
