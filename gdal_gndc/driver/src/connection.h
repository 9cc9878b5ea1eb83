// The connection string GNDC:path[:key=value]...
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace gndc_driver
{

struct Connection
{
    std::string m_path{};
    std::vector<std::pair<std::string, std::string>> m_keys{};  // keys in lower case, in the order given

    /** True when the name begins with "GNDC:", in any case. */
    static bool HasPrefix(const char *name);

    /** Parses a name with the prefix. The path is plain, or in double quotes with \" and \\ escaped; keys begin at the
     *  first ":key=" after it, and a value runs to the next one. Throws Failure. */
    static Connection Parse(const std::string &name);

    /** The name that Parse takes apart again, path quoted. */
    std::string ToString() const;

    /** The value of a key, or nullptr. */
    const std::string *Find(const std::string &key) const;
    /** Adds a key; one that is there already must have the same value. Throws Failure. */
    void Add(const std::string &key, const std::string &value);
    /** What identifies this view of the file, without the path: "t=2018-06-30", empty for the whole file. */
    std::string View() const;
};

}  // namespace gndc_driver
