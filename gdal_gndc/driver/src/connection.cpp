#include "connection.h"

#include <cctype>

#include "cpl_string.h"
#include "failure.h"

namespace gndc_driver
{

namespace
{

constexpr const char *PREFIX = "GNDC:";
constexpr size_t PREFIX_LENGTH = 5;

// Length of a "key=" at `at`, without the equals sign; 0 if there is none.
size_t KeyLength(const std::string &text, size_t at)
{
    size_t end = at;
    while (end < text.size() && (std::isalpha(static_cast<unsigned char>(text[end])) || text[end] == '_' ||
                                 (end > at && std::isdigit(static_cast<unsigned char>(text[end])))))
        ++end;
    return end < text.size() && text[end] == '=' ? end - at : 0;
}

// Position of the next ":key=" from `at` on, or the end.
size_t NextKey(const std::string &text, size_t at)
{
    for (size_t i = at; i < text.size(); ++i)
        if (text[i] == ':' && KeyLength(text, i + 1) > 0)
            return i;
    return text.size();
}

// Takes a part in double quotes that begins at `at`, which is moved behind it.
std::string Quoted(const std::string &text, size_t &at)
{
    std::string value;
    for (++at; at < text.size(); ++at)
    {
        if (text[at] == '"')
        {
            ++at;
            return value;
        }
        if (text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\'))
            ++at;
        value += text[at];
    }
    Fail("%s: the double quote is not closed", Shown(text).c_str());
}

// A plain part runs to the next ":key="; a quoted one must end there.
std::string Part(const std::string &text, size_t &at)
{
    if (at < text.size() && text[at] == '"')
    {
        const std::string value = Quoted(text, at);
        if (at < text.size() && (text[at] != ':' || KeyLength(text, at + 1) == 0))
            Fail("%s: found '%s' after the closing quote, expected :key=value", Shown(text).c_str(),
                 Shown(text.substr(at)).c_str());
        return value;
    }
    const size_t end = NextKey(text, at);
    const std::string value = text.substr(at, end - at);
    at = end;
    return value;
}

std::string InQuotes(const std::string &part)
{
    std::string quoted = "\"";
    for (const char c : part)
    {
        if (c == '"' || c == '\\')
            quoted += '\\';
        quoted += c;
    }
    return quoted + '"';
}

}  // namespace

bool Connection::HasPrefix(const char *name)
{
    return STARTS_WITH_CI(name, PREFIX);
}

Connection Connection::Parse(const std::string &name)
{
    Connection connection;
    size_t at = PREFIX_LENGTH;
    connection.m_path = Part(name, at);
    if (connection.m_path.empty())
        Fail("%s: found no path, expected GNDC:path[:key=value]...", Shown(name).c_str());
    while (at < name.size())
    {
        const size_t length = KeyLength(name, at + 1);
        const std::string key = CPLString(name.substr(at + 1, length)).tolower();
        at += length + 2;
        if (connection.Find(key))
            Fail("%s: the key %s comes twice, expected it once", Shown(name).c_str(), Shown(key).c_str());
        connection.Add(key, Part(name, at));
    }
    return connection;
}

std::string Connection::ToString() const
{
    const std::string name = PREFIX + InQuotes(m_path);
    const std::string view = View();
    return view.empty() ? name : name + ":" + view;
}

const std::string *Connection::Find(const std::string &key) const
{
    for (const auto &item : m_keys)
        if (item.first == key)
            return &item.second;
    return nullptr;
}

void Connection::Add(const std::string &key, const std::string &value)
{
    const std::string *there = Find(key);
    if (there && *there != value)
        Fail("%s: found %s=%s and %s=%s, expected one of them", Shown(m_path).c_str(), key.c_str(),
             Shown(*there).c_str(), key.c_str(), Shown(value).c_str());
    if (!there)
        m_keys.emplace_back(key, value);
}

std::string Connection::View() const
{
    std::string view;
    for (const auto &item : m_keys)
    {
        const bool plain = item.second.empty() || (item.second[0] != '"' && NextKey(item.second, 0) == item.second.size());
        view += (view.empty() ? "" : ":") + item.first + "=" + (plain ? item.second : InQuotes(item.second));
    }
    return view;
}

}  // namespace gndc_driver
