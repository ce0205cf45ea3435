#include "core/available_cpus.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

namespace set_native {

namespace {

constexpr double kNoQuota = std::numeric_limits<double>::infinity();

/** Versions of control groups. Version 1 has a hierarchy per controller, of which `cpu` is read here. */
enum class Version { v1, v2 };

/** Mount of a hierarchy: `point` is the folder of the group `root`. */
struct Mount {
  std::string root, point;
};

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

/** Whether `name` is one of the comma-separated `names`. */
bool lists(const std::string& names, const std::string& name) {
  return ("," + names + ",").find("," + name + ",") != std::string::npos;
}

std::string first_line(const std::string& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

/** Parses a whole number above 0 that is written in digits alone. */
std::optional<double> positive(const std::string& text) {
  uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || value == 0) return std::nullopt;
  return static_cast<double>(value);
}

/** Quota of one group in CPUs: quota / period, both in microseconds. A quota of `max` or -1 means none. */
double quota_of_group(const std::string& folder, Version version) {
  std::vector<std::string> words;
  if (version == Version::v2)
    words = words_of(first_line(folder + "/cpu.max"));
  else
    words = {first_line(folder + "/cpu.cfs_quota_us"), first_line(folder + "/cpu.cfs_period_us")};
  if (words.size() != 2) return kNoQuota;
  const auto quota = positive(words[0]), period = positive(words[1]);
  return quota && period ? *quota / *period : kNoQuota;
}

/** Least quota of a group and all groups above it, up to the one at the mount point. */
double least_quota(const std::string& point, std::string group, Version version) {
  double least = kNoQuota;
  for (;;) {
    least = std::min(least, quota_of_group(point + group, version));
    if (group.empty()) return least;
    group.resize(group.rfind('/'));
  }
}

/** Replaces octal escapes by their characters: mountinfo writes a blank in a path as \040. */
std::string unescaped(const std::string& text) {
  std::string out;
  for (size_t k = 0; k < text.size(); ++k) {
    int code = 0;
    const char* const digits = text.data() + k + 1;
    if (text[k] == '\\' && k + 3 < text.size() &&
        std::from_chars(digits, digits + 3, code, 8).ptr == digits + 3) {
      out += static_cast<char>(code);
      k += 3;
    } else {
      out += text[k];
    }
  }
  return out;
}

/**
 * Mounts listed in /proc/self/mountinfo, whose lines read: number, parent, device, root, mount point,
 * options ..., "-", type, source, options.
 */
std::vector<Mount> mounts_of(const std::string& root, Version version) {
  std::vector<Mount> mounts;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = words_of(line);
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (dash - words.begin() < 6 || words.end() - dash < 4) continue;
    const bool mine =
        version == Version::v2 ? dash[1] == "cgroup2" : dash[1] == "cgroup" && lists(dash[3], "cpu");
    if (mine) mounts.push_back({unescaped(words[3]), unescaped(words[4])});
  }
  return mounts;
}

/** Group of this process from /proc/self/cgroup, whose lines read number:controllers:path. */
std::optional<std::string> group_of(const std::string& root, Version version) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos || line.compare(second + 1, 1, "/") != 0) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (version == Version::v2 ? controllers.empty() : lists(controllers, "cpu"))
      return line.substr(second + 1);
  }
  return std::nullopt;
}

/** Path from the group `top` down to `group`: "" or "/a/b"; nullopt if `group` does not lie below `top`. */
std::optional<std::string> below(const std::string& group, const std::string& top) {
  const std::string prefix = top == "/" ? "" : top;
  if (group.compare(0, prefix.size(), prefix) != 0) return std::nullopt;
  const std::string rest = group.substr(prefix.size());
  if (rest.empty() || rest == "/") return "";
  // ".." leads to a group outside the process' namespace.
  return rest[0] != '/' || (rest + "/").find("/../") != std::string::npos ? std::nullopt
                                                                          : std::make_optional(rest);
}

/** Least quota of the process in a hierarchy; `usual_points` are tried where mountinfo shows no mount. */
double quota_in(const std::string& root, Version version, const std::vector<std::string>& usual_points) {
  const std::string group = group_of(root, version).value_or("/");
  double least = kNoQuota;
  bool mounted = false;
  for (const Mount& mount : mounts_of(root, version)) {
    const auto path = below(group, mount.root);
    if (!path) continue;
    mounted = true;
    least = std::min(least, least_quota(root + mount.point, *path, version));
  }
  for (const std::string& point : usual_points)
    if (!mounted) least = std::min(least, least_quota(root + point, below(group, "/").value_or(""), version));
  return least;
}

/** CPUs in the affinity mask of the calling thread. */
unsigned affinity_cpus() {
#ifdef __linux__
  constexpr size_t kMostSets = 1024;  // a million CPUs
  for (size_t sets = 1; sets <= kMostSets; sets *= 2) {
    std::vector<cpu_set_t> mask(sets);
    const size_t bytes = sets * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, mask.data()) == 0)
      return static_cast<unsigned>(CPU_COUNT_S(bytes, mask.data()));
  }
#endif
  return std::thread::hardware_concurrency();
}

}  // namespace

double quota_cpus(const std::string& root) {
  return std::min(quota_in(root, Version::v2, {"/sys/fs/cgroup"}),
                  quota_in(root, Version::v1, {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}));
}

unsigned threads_for(double cpus) {
  constexpr double kMost = 1u << 20;
  return static_cast<unsigned>(std::ceil(std::clamp(cpus, 1.0, kMost)));
}

unsigned available_cpus() {
  const unsigned cpus = std::max(1u, affinity_cpus());
#ifdef __linux__
  return std::min(cpus, threads_for(quota_cpus()));
#else
  return cpus;
#endif
}

}  // namespace set_native
