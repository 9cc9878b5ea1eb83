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

    struct Request
    {
        double m_xOff{};
        double m_yOff{};
        double m_xSize{};
        double m_ySize{};
        int m_bufXSize{};
        int m_bufYSize{};
        Resampling m_resampling{};

        bool operator==(const Request &other) const;
    };

    /** What a read asks for: the window as fractions of pixels where GDAL knows it so. */
    Request RequestOf(int xOff, int yOff, int xSize, int ySize, int bufXSize, int bufYSize,
                      const GDALRasterIOExtraArg *extra) const;

    /** Sets 255 where a band has data, `stride` bytes from row to row, and leaves the rest alone. */
    void ReadMask(const Request &request, GByte *out, int stride) const;

    /** The mask of all bands with the option MASK=BAND, else null. */
    GDALRasterBand *MaskOfBands() const
    {
        return m_mask.get();
    }

    const Reading &GetReading() const
    {
        return m_reading;
    }

#if GDAL_VERSION_NUM >= GDAL_COMPUTE_VERSION(3, 10, 0)
  protected:
    // RFC 101: a handle for many threads is made of one clone a thread, all of one cube
    bool CanBeCloned(int scope, bool canShareState) const override;
    std::unique_ptr<GDALDataset> Clone(int scope, bool canShareState) const override;
#endif

  private:
    Dataset() = default;

    struct Sink
    {
        GByte *m_data{};
        GDALDataType m_type{};
        GSpacing m_pixelSpace{};
        GSpacing m_lineSpace{};
        GSpacing m_bandSpace{};
    };

    static std::unique_ptr<Dataset> OpenContainer(const std::shared_ptr<Cube> &cube, const std::vector<Moment> &moments,
                                                  const std::string &product);
    static std::unique_ptr<Dataset> OpenGroup(const Connection &connection, const std::shared_ptr<Cube> &cube,
                                              CSLConstList options, const Reading &reading);
    static std::unique_ptr<Dataset> OpenView(const View &view, const Reading &reading);
    static std::unique_ptr<Dataset> OpenOverview(const View &view, const Reading &reading, int level);
    static std::unique_ptr<Dataset> OpenConnection(const Connection &connection, const std::shared_ptr<Cube> &cube,
                                                   const Reading &reading);

    /** Takes what GDAL keeps of this view beside the file (.aux.xml). */
    void LoadPam(const std::string &description, const std::string &view);
    void SetView(const View &view, const Reading &reading, int level);
    void SetPlace(const Cube &cube);
    void Evaluate(const Request &request, const std::vector<int> &planes, int firstRow, int rowCount,
                  const Target &target, const Reading &reading) const;
    void EvaluateTo(const Request &request, const std::vector<int> &planes, const Sink &sink,
                    GDALRasterIOExtraArg *extra);
    bool CopyRemembered(const Request &request, const std::vector<int> &planes, const Sink &sink);

    std::shared_ptr<Cube> m_cube{};
    std::unique_ptr<View> m_view{};
    std::shared_ptr<Group> m_group{};
    OGRSpatialReference m_srs{};
    Reading m_reading{};
    std::string m_pamName{};
    std::unique_ptr<GDALRasterBand> m_mask{};
    std::vector<std::unique_ptr<Dataset>> m_overviews{};

    // the last read that was worth remembering for the other bands
    std::mutex m_memoryMutex{};
    Request m_remembered{};
    std::vector<float> m_memory{};
};

}  // namespace gndc_driver
