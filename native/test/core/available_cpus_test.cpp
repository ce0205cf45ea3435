#include "core/available_cpus.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <string>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif
#include <stdlib.h>

#include "test/check.h"

/*
 * The CPUs that a process may use, by files as kernels and containers write them.
 */
namespace set_native {

using namespace test;

namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

using Files = std::map<std::string, std::string>;

/** quota_cpus of a machine that has these files. */
double quota_of(const Files& files) {
  std::string root = (std::filesystem::temp_directory_path() / "set-native-XXXXXX").string();
  if (mkdtemp(root.data()) == nullptr) skip("no folder for temporary files");
  for (const auto& [name, text] : files) {
    const std::filesystem::path file = root + name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  const double cpus = quota_cpus(root);
  std::filesystem::remove_all(root);
  return cpus;
}

const std::string kMount2 =
    "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
const std::string kMount1 =
    "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "33 32 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:10 - cgroup cgroup rw,cpu,cpuacct\n"
    "34 32 0:31 / /sys/fs/cgroup/cpuset rw,nosuid shared:11 - cgroup cgroup rw,cpuset\n";

TEST("available cpus: a quota of version 2, in the process' own group") {
  const auto with = [](const std::string& text) {
    return quota_of({{"/proc/self/cgroup", "0::/app\n"},
                     {"/proc/self/mountinfo", kMount2},
                     {"/sys/fs/cgroup/app/cpu.max", text}});
  };
  CHECK_EQ(with("150000 100000\n"), 1.5);
  CHECK_EQ(with("400000 100000\n"), 4.0);
  CHECK_EQ(with("1000 100000\n"), 0.01);
  CHECK_EQ(with("max 100000\n"), kNone);
}

TEST("available cpus: a quota of version 1") {
  const auto with = [](const std::string& quota, const std::string& period) {
    return quota_of({{"/proc/self/cgroup", "5:cpuset:/other\n4:cpuacct,cpu:/a:b/c\n0::/\n"},
                     {"/proc/self/mountinfo", kMount1},
                     {"/sys/fs/cgroup/cpu,cpuacct/a:b/c/cpu.cfs_quota_us", quota},
                     {"/sys/fs/cgroup/cpu,cpuacct/a:b/c/cpu.cfs_period_us", period},
                     {"/sys/fs/cgroup/cpuset/other/cpu.cfs_quota_us", "1000\n"},
                     {"/sys/fs/cgroup/cpuset/other/cpu.cfs_period_us", "1000\n"}});
  };
  CHECK_EQ(with("250000\n", "100000\n"), 2.5);
  CHECK_EQ(with("-1\n", "100000\n"), kNone);
  CHECK_EQ(with("250000\n", "0\n"), kNone);
}

TEST("available cpus: the least quota of the groups from the process' own up to the one that is mounted") {
  const std::string group = "/sys/fs/cgroup/pod/container";
  const auto with = [&](const std::string& own, const std::string& parent, const std::string& top) {
    return quota_of({{"/proc/self/cgroup", "0::/pod/container/leaf\n"},
                     {"/proc/self/mountinfo", kMount2},
                     {group + "/leaf/cpu.max", own},
                     {"/sys/fs/cgroup/pod/cpu.max", parent},
                     {"/sys/fs/cgroup/cpu.max", top}});
  };
  CHECK_EQ(with("max 100000", "300000 100000", "800000 100000"), 3.0);
  CHECK_EQ(with("200000 100000", "300000 100000", "max 100000"), 2.0);
  CHECK_EQ(with("max 100000", "max 100000", "700000 100000"), 7.0);
}

TEST("available cpus: where a container is mounted as the top, its path counts from there") {
  const std::string cgroup = "3:cpu,cpuacct:/docker/4f5e/inner\n";
  const Files quota = {{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n"},
                       {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                       {"/sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "200000\n"},
                       {"/sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n"}};
  const auto with = [&](const std::string& mounted, const std::string& group) {
    Files files = quota;
    files["/proc/self/cgroup"] = group;
    files["/proc/self/mountinfo"] =
        "33 32 0:30 " + mounted + " /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n";
    return quota_of(files);
  };
  CHECK_EQ(with("/docker/4f5e", cgroup), 2.0);
  CHECK_EQ(with("/docker/4f5e", "3:cpu:/docker/4f5e\n"), 3.0);
  CHECK_EQ(with("/docker/4f", cgroup),
           3.0);  // another one's: what is at the usual place is all that is known
  CHECK_EQ(with("/", "3:cpu:/../elsewhere\n"), 3.0);
  CHECK_EQ(with("/..", "3:cpu:/../inner\n"), 2.0);
}

TEST(
    "available cpus: both versions at once, other places, names with blanks, and nothing that tells of "
    "mounts") {
  const std::string top = "/sys/fs/cgroup";
  CHECK_EQ(quota_of({{"/proc/self/cgroup", "4:cpu:/one\n0::/two\n"},
                     {"/proc/self/mountinfo",
                      "33 32 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                      "34 32 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"},
                     {top + "/cpu/one/cpu.cfs_quota_us", "500000"},
                     {top + "/cpu/one/cpu.cfs_period_us", "100000"},
                     {top + "/unified/two/cpu.max", "400000 100000"}}),
           4.0);
  CHECK_EQ(quota_of({{"/proc/self/cgroup", "0::/my group\n"},
                     {"/proc/self/mountinfo", "31 23 0:28 / /run/my\\040groups rw - cgroup2 none rw\n"},
                     {"/run/my groups/my group/cpu.max", "200000 100000"}}),
           2.0);
  CHECK_EQ(quota_of({{top + "/cpu.max", "200000 100000\n"}}), 2.0);
  CHECK_EQ(quota_of({{"/proc/self/cgroup", "0::/app\n"}, {top + "/app/cpu.max", "100000 100000\n"}}), 1.0);
  for (const char* folder : {"/cpu", "/cpu,cpuacct"})
    CHECK_EQ(quota_of({{top + folder + "/cpu.cfs_quota_us", "300000\n"},
                       {top + folder + "/cpu.cfs_period_us", "100000\n"}}),
             3.0);
}

TEST("available cpus: files that are missing, empty or malformed are no quota") {
  CHECK_EQ(quota_of({}), kNone);
  for (const char* text :
       {"", "\n", "100000", "max", "abc 100000", "100000 abc", "-5 100000", "0 100000", "100000 0",
        "1e5 100000", "0x100 100000", "100000.5 100000", "100000 100000 100000", "nan inf",
        "99999999999999999999999 100000", "100000\t\n100000"})
    CHECK_MSG(quota_of({{"/sys/fs/cgroup/cpu.max", text}}) == kNone, "cpu.max is '" << text << "'");
  const Files quota = {{"/sys/fs/cgroup/cpu.max", "200000 100000"}};
  for (const char* text :
       {"", ":", "::", "0:", "0::", "0::app", "0:/app", "zero", "\n\n0::", "0:::", "0::/.."}) {
    Files files = quota;
    files["/proc/self/cgroup"] = text;
    CHECK_MSG(quota_of(files) == 2.0, "/proc/self/cgroup is '" << text << "'");
  }
  for (const char* text :
       {"", "-", "- cgroup2", "1 2 3 4 5 - cgroup2 none rw", "1 2 3 / /sys/fs/cgroup rw cgroup2",
        "1 2 3 / /nowhere\\0 rw -", "1 2 3 / /nowhere rw - cgroup none rw,cpuset"}) {
    Files files = quota;
    files["/proc/self/mountinfo"] = text;
    CHECK_MSG(quota_of(files) == 2.0, "/proc/self/mountinfo is '" << text << "'");
  }
}

TEST("available cpus: parts of a CPU are rounded up, and there is always one") {
  CHECK_EQ(threads_for(0.01), 1u);
  CHECK_EQ(threads_for(1.0), 1u);
  CHECK_EQ(threads_for(1.5), 2u);
  CHECK_EQ(threads_for(2.0), 2u);
  CHECK(threads_for(kNone) >= 1024u);
}

TEST("available cpus: those of the affinity mask") {
#ifdef __linux__
  const unsigned all = available_cpus();
  CHECK(all >= 1);
  if (all < 2) skip("this process has one CPU");
  unsigned one = 0;
  std::thread([&one] {  // the mask is that of a thread
    cpu_set_t mask;
    sched_getaffinity(0, sizeof mask, &mask);
    int first = 0;
    while (!CPU_ISSET(first, &mask)) ++first;
    CPU_ZERO(&mask);
    CPU_SET(first, &mask);
    if (sched_setaffinity(0, sizeof mask, &mask) == 0) one = available_cpus();
  })
      .join();
  CHECK_EQ(one, 1u);
  CHECK_EQ(available_cpus(), all);
#else
  CHECK(available_cpus() >= 1);
#endif
}

}  // namespace
}  // namespace set_native
