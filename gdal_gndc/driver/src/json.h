// JSON objects of a container read strictly: every value taken has its type and range checked. null counts as absent.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "cpl_json.h"

namespace gndc_driver
{

class Json final
{
  public:
    /** Parses a document whose root is an object. Throws Failure. */
    static Json Parse(const uint8_t *data, size_t size);

    bool Has(const std::string &key) const;

    int64_t Integer(const std::string &key, int64_t low, int64_t high = HIGHEST) const;
    int64_t Integer(const std::string &key, int64_t low, int64_t high, int64_t otherwise) const;
    double Number(const std::string &key) const;
    double Number(const std::string &key, double otherwise) const;
    bool Boolean(const std::string &key, bool otherwise) const;
    std::string String(const std::string &key) const;
    std::string String(const std::string &key, const std::string &otherwise) const;
    std::vector<int64_t> Integers(const std::string &key, int64_t low, int64_t high = HIGHEST) const;
    std::vector<double> Numbers(const std::string &key) const;
    std::vector<std::string> Strings(const std::string &key) const;
    Json Child(const std::string &key) const;
    /** The objects of an array; none if it is absent. */
    std::vector<Json> Children(const std::string &key) const;
    /** The rows of an array of arrays of finite numbers. */
    std::vector<std::vector<double>> Rows(const std::string &key) const;
    bool IsArray(const std::string &key) const;

    /** "format" is "gndc" and "version" is 0.9 or 0.9.x; else throws Failure. */
    void CheckFormat() const;

    /** A member's name from the root, for messages. */
    std::string Name(const std::string &key) const;
    /** Throws the Failure for a member that is not what it should be. */
    [[noreturn]] void Wrong(const std::string &key, const std::string &expected) const;

    static constexpr int64_t HIGHEST = std::numeric_limits<int64_t>::max();

  private:
    Json(const CPLJSONObject &object, const std::string &where) : m_object(object), m_where(where)
    {
    }

    CPLJSONObject Get(const std::string &key) const;
    CPLJSONArray Array(const std::string &key) const;

    CPLJSONObject m_object;
    std::string m_where;
};

}  // namespace gndc_driver
