// One cube serves all datasets of a process that show the same unchanged file.
#include <map>

#include "cpl_vsi.h"
#include "cube.h"

namespace gndc_driver
{

namespace
{

struct Opened
{
    std::weak_ptr<Cube> m_cube;
    vsi_l_offset m_size;
    GIntBig m_changed;
};

}  // namespace

std::shared_ptr<Cube> Cube::Open(const std::string &path)
{
    // never destroyed, like the cache
    static std::mutex *const mutex = new std::mutex;
    static std::map<std::string, Opened> *const opened = new std::map<std::string, Opened>;

    VSIStatBufL stat = {};
    const bool known = VSIStatExL(path.c_str(), &stat, VSI_STAT_EXISTS_FLAG | VSI_STAT_SIZE_FLAG) == 0;
    const vsi_l_offset size = known ? static_cast<vsi_l_offset>(stat.st_size) : 0;
    const GIntBig changed = known ? static_cast<GIntBig>(stat.st_mtime) : 0;
    {
        std::lock_guard<std::mutex> lock(*mutex);
        const auto found = opened->find(path);
        if (found != opened->end() && found->second.m_size == size && found->second.m_changed == changed)
            if (std::shared_ptr<Cube> cube = found->second.m_cube.lock())
                return cube;
    }
    const std::shared_ptr<Cube> cube(new Cube(path));
    std::lock_guard<std::mutex> lock(*mutex);
    for (auto at = opened->begin(); at != opened->end();)
        at = at->second.m_cube.expired() ? opened->erase(at) : std::next(at);
    (*opened)[path] = {cube, size, changed};
    return cube;
}

}  // namespace gndc_driver
