#include "json.h"

#include <cctype>
#include <cmath>

#include "cpl_error.h"
#include "cpl_string.h"
#include "failure.h"

namespace gndc_driver
{

namespace
{

using Type = CPLJSONObject::Type;

constexpr int LONGEST_DOCUMENT = std::numeric_limits<int>::max() - 1;

bool IsInteger(const CPLJSONObject &value)
{
    return value.GetType() == Type::Integer || value.GetType() == Type::Long;
}

bool IsNumber(const CPLJSONObject &value)
{
    return (IsInteger(value) || value.GetType() == Type::Double) && std::isfinite(value.ToDouble());
}

std::string RangeText(int64_t low, int64_t high)
{
    if (high != Json::HIGHEST)
        return "an integer from " + std::to_string(low) + " to " + std::to_string(high);
    return "an integer of at least " + std::to_string(low);
}

std::string ValueText(const CPLJSONObject &value)
{
    switch (value.GetType())
    {
        case Type::Object:
            return "an object";
        case Type::Array:
            return "an array";
        case Type::String:
            return "\"" + Shown(value.ToString()) + "\"";
        case Type::Boolean:
            return value.ToBool() ? "true" : "false";
        case Type::Null:
            return "null";
        case Type::Integer:
        case Type::Long:
            return std::to_string(value.ToLong());
        default:
            return CPLSPrintf("%.17g", value.ToDouble());
    }
}

std::vector<double> NumbersOf(const CPLJSONArray &array, const std::string &where)
{
    std::vector<double> values;
    for (int i = 0; i < array.Size(); ++i)
    {
        const CPLJSONObject value = array[i];
        if (!IsNumber(value))
            Fail("%s[%d] is %s, expected a finite number", where.c_str(), i, ValueText(value).c_str());
        values.push_back(value.ToDouble());
    }
    return values;
}

}  // namespace

Json Json::Parse(const uint8_t *data, size_t size)
{
    if (size == 0 || size > static_cast<size_t>(LONGEST_DOCUMENT))
        Fail("found %zu bytes, expected a JSON document", size);
    CPLJSONDocument document;
    std::string reason;
    {
        CPLErrorStateBackuper state;
        CPLErrorHandlerPusher quiet(CPLQuietErrorHandler);
        CPLErrorReset();
        if (!document.LoadMemory(data, static_cast<int>(size)))
            reason = CPLGetLastErrorMsg();
    }
    if (reason.find("continue") != std::string::npos)  // what json-c says of text that stops in the middle
        Fail("not valid JSON: it ends too early");
    if (!reason.empty())
        Fail("not valid JSON: %s", Shown(reason).c_str());
    const CPLJSONObject root = document.GetRoot();
    if (!root.IsValid() || root.GetType() != Type::Object)
        Fail("not valid JSON, or its root is no object: expected a JSON object");
    return Json(root, "");
}

std::string Json::Name(const std::string &key) const
{
    return m_where.empty() ? key : m_where + "." + key;
}

void Json::Wrong(const std::string &key, const std::string &expected) const
{
    if (!Has(key))
        Fail("%s is absent, expected %s", Name(key).c_str(), expected.c_str());
    Fail("%s is %s, expected %s", Name(key).c_str(), ValueText(Get(key)).c_str(), expected.c_str());
}

CPLJSONObject Json::Get(const std::string &key) const
{
    return m_object.GetObj(key);
}

bool Json::Has(const std::string &key) const
{
    const CPLJSONObject value = Get(key);
    return value.IsValid() && value.GetType() != Type::Null && value.GetType() != Type::Unknown;
}

int64_t Json::Integer(const std::string &key, int64_t low, int64_t high) const
{
    const CPLJSONObject value = Get(key);
    if (!Has(key) || !IsInteger(value) || value.ToLong() < low || value.ToLong() > high)
        Wrong(key, RangeText(low, high));
    return value.ToLong();
}

int64_t Json::Integer(const std::string &key, int64_t low, int64_t high, int64_t otherwise) const
{
    return Has(key) ? Integer(key, low, high) : otherwise;
}

double Json::Number(const std::string &key) const
{
    const CPLJSONObject value = Get(key);
    if (!Has(key) || !IsNumber(value))
        Wrong(key, "a finite number");
    return value.ToDouble();
}

double Json::Number(const std::string &key, double otherwise) const
{
    return Has(key) ? Number(key) : otherwise;
}

bool Json::Boolean(const std::string &key, bool otherwise) const
{
    if (!Has(key))
        return otherwise;
    const CPLJSONObject value = Get(key);
    if (value.GetType() != Type::Boolean)
        Wrong(key, "true or false");
    return value.ToBool();
}

std::string Json::String(const std::string &key) const
{
    const CPLJSONObject value = Get(key);
    if (!Has(key) || value.GetType() != Type::String)
        Wrong(key, "a string");
    return value.ToString();
}

std::string Json::String(const std::string &key, const std::string &otherwise) const
{
    return Has(key) ? String(key) : otherwise;
}

bool Json::IsArray(const std::string &key) const
{
    return Get(key).GetType() == Type::Array;
}

CPLJSONArray Json::Array(const std::string &key) const
{
    const CPLJSONObject value = Get(key);
    if (!Has(key) || value.GetType() != Type::Array)
        Wrong(key, "an array");
    return value.ToArray();
}

std::vector<int64_t> Json::Integers(const std::string &key, int64_t low, int64_t high) const
{
    const CPLJSONArray array = Array(key);
    std::vector<int64_t> values;
    for (int i = 0; i < array.Size(); ++i)
    {
        const CPLJSONObject value = array[i];
        if (!IsInteger(value) || value.ToLong() < low || value.ToLong() > high)
            Fail("%s[%d] is %s, expected %s", Name(key).c_str(), i, ValueText(value).c_str(),
                 RangeText(low, high).c_str());
        values.push_back(value.ToLong());
    }
    return values;
}

std::vector<double> Json::Numbers(const std::string &key) const
{
    return NumbersOf(Array(key), Name(key));
}

std::vector<std::vector<double>> Json::Rows(const std::string &key) const
{
    const CPLJSONArray array = Array(key);
    std::vector<std::vector<double>> rows;
    for (int i = 0; i < array.Size(); ++i)
    {
        const CPLJSONObject value = array[i];
        const std::string where = Name(key) + "[" + std::to_string(i) + "]";
        if (value.GetType() != Type::Array)
            Fail("%s is %s, expected an array", where.c_str(), ValueText(value).c_str());
        rows.push_back(NumbersOf(value.ToArray(), where));
    }
    return rows;
}

std::vector<std::string> Json::Strings(const std::string &key) const
{
    const CPLJSONArray array = Array(key);
    std::vector<std::string> values;
    for (int i = 0; i < array.Size(); ++i)
    {
        const CPLJSONObject value = array[i];
        if (value.GetType() != Type::String)
            Fail("%s[%d] is %s, expected a string", Name(key).c_str(), i, ValueText(value).c_str());
        values.push_back(value.ToString());
    }
    return values;
}

Json Json::Child(const std::string &key) const
{
    const CPLJSONObject value = Get(key);
    if (!Has(key) || value.GetType() != Type::Object)
        Wrong(key, "an object");
    return Json(value, Name(key));
}

std::vector<Json> Json::Children(const std::string &key) const
{
    std::vector<Json> children;
    if (!Has(key))
        return children;
    const CPLJSONArray array = Array(key);
    for (int i = 0; i < array.Size(); ++i)
    {
        const CPLJSONObject value = array[i];
        const std::string where = Name(key) + "[" + std::to_string(i) + "]";
        if (value.GetType() != Type::Object)
            Fail("%s is %s, expected an object", where.c_str(), ValueText(value).c_str());
        children.push_back(Json(value, where));
    }
    return children;
}

void Json::CheckFormat() const
{
    if (!Has("format") || Get("format").GetType() != Type::String || String("format") != "gndc")
        Wrong("format", "\"gndc\"");
    const std::string version = String("version");
    if (version.compare(0, 3, "0.9") != 0 || (version.size() > 3 && std::isdigit(static_cast<unsigned char>(version[3]))))
        Wrong("version", "0.9 or 0.9.x");
}

}  // namespace gndc_driver
