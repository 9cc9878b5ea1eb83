// A raster of GDAL that shows a view of a cube, or the container that lists them.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "compat.h"
#include "connection.h"
#include "cube.h"
#include "gdal_pam.h"
#include "group.h"
#include "ogr_spatialref.h"
#include "view.h"

namespace gndc_driver
{

class Dataset final : public GDALPamDataset
{
  public:
    static int Identify(GDALOpenInfo *info);
    static GDALDataset *Open(GDALOpenInfo *info);

    ~Dataset() override = default;

    CPLErr GET_GEO_TRANSFORM(GeoTransformOut out) GEO_TRANSFORM_CONST override;
    const OGRSpatialReference *GetSpatialRef() const override;
    char **GetFileList() override;

    std::shared_ptr<GDALGroup> GetRootGroup() const override
    {
        return m_group;
    }

    CPLErr IRasterIO(GDALRWFlag flag, int xOff, int yOff, int xSize, int ySize, void *data, int bufXSize, int bufYSize,
                     GDALDataType bufType, int bandCount, BandMap bandMap, GSpacing pixelSpace, GSpacing lineSpace,
                     GSpacing bandSpace, GDALRasterIOExtraArg *extra) override;

    /** Evaluates a block of all bands that share the work and keeps those of the others in the block cache. */
    CPLErr ReadBlock(int band, int blockX, int blockY, void *image);

    /** Whether a read is answered by evaluating its pixels rather than blocks of the full raster. */
    bool IsDirect(int xSize, int ySize, int bufXSize, int bufYSize, const GDALRasterIOExtraArg *extra) const;

    const View &GetView() const
    {
        return *m_view;
    }

    const std::vector<std::unique_ptr<Dataset>> &Overviews() const
    {
        return m_overviews;
    }

  private:
    Dataset() = default;

    struct Request
    {
        double m_xOff{};
        double m_yOff{};
        double m_xSize{};
        double m_ySize{};
        int m_bufXSize{};
        int m_bufYSize{};

        bool operator==(const Request &other) const;
    };

    struct Sink
    {
        GByte *m_data{};
        GDALDataType m_type{};
        GSpacing m_pixelSpace{};
        GSpacing m_lineSpace{};
        GSpacing m_bandSpace{};
    };

    static std::unique_ptr<Dataset> OpenContainer(const std::shared_ptr<Cube> &cube, const std::vector<Moment> &moments);
    static std::unique_ptr<Dataset> OpenGroup(const Connection &connection, const std::shared_ptr<Cube> &cube,
                                              CSLConstList options, int threads);
    static std::unique_ptr<Dataset> OpenView(const View &view);
    static std::unique_ptr<Dataset> OpenOverview(const View &view, int level, int threads);
    static std::unique_ptr<Dataset> OpenConnection(const Connection &connection, const std::shared_ptr<Cube> &cube);

    void SetView(const View &view, int level);
    void SetPlace(const Cube &cube);
    void Evaluate(const Request &request, const std::vector<int> &planes, int firstRow, int rowCount,
                  const Target &target) const;
    void EvaluateTo(const Request &request, const std::vector<int> &planes, const Sink &sink,
                    GDALRasterIOExtraArg *extra);
    bool CopyRemembered(const Request &request, const std::vector<int> &planes, const Sink &sink);

    std::shared_ptr<Cube> m_cube{};
    std::unique_ptr<View> m_view{};
    std::shared_ptr<Group> m_group{};
    OGRSpatialReference m_srs{};
    int m_threads{};
    std::vector<std::unique_ptr<Dataset>> m_overviews{};

    // the last read that was worth remembering for the other bands
    std::mutex m_memoryMutex{};
    Request m_remembered{};
    std::vector<float> m_memory{};
};

}  // namespace gndc_driver
