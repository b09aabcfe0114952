// The contract for the host's file system, with each backend; then behaviour that only a host has.
#include "file_contract.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "io/file/file_system.h"
#include "io/loop.h"
#include "temporary_directory.h"

namespace bop::tests {

namespace {

class HostRig final : public FileRig {
 public:
  explicit HostRig(io::FileBackend backend, const std::string& root = {}) {
    auto opened = io::open_file_system(loop, root.empty() ? directory.path() : root,
                                       {.backend = backend, .uring_entries = 16});
    EXPECT_TRUE(opened.has_value()) << opened.error().to_string();
    if (opened) files_ = std::move(*opened);
  }
  port::FileSystem& files() override { return *files_; }
  bool run_until(const std::function<bool()>& done) override {
    return loop.run_until(done, 60 * seconds);
  }

  TemporaryDirectory directory;
  io::Loop loop;
  std::unique_ptr<io::FileSystem> files_;
};

// Asks the system directly. With a valid address this call would create a ring.
bool ring_is_allowed() { return syscall(SYS_io_uring_setup, 1, nullptr) != 0 && errno == EFAULT; }

std::vector<FileRigMaker> host_backends() {
  auto make = [](io::FileBackend backend) {
    return [backend] { return std::make_unique<HostRig>(backend); };
  };
  return {{"pool", make(io::FileBackend::pool)},
          {"uring", make(io::FileBackend::uring),
           ring_is_allowed() ? nullptr : "io_uring is forbidden here"}};
}

// Limits the size of files of this process to `bytes` while it is in scope.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};

}  // namespace

INSTANTIATE_TEST_SUITE_P(Host, FileContract, testing::ValuesIn(host_backends()),
                         [](const auto& info) { return std::string(info.param.name); });

class HostFiles : public testing::TestWithParam<FileRigMaker> {
 protected:
  void SetUp() override {
    if (GetParam().missing != nullptr) GTEST_SKIP() << GetParam().missing;
  }
};
INSTANTIATE_TEST_SUITE_P(Host, HostFiles, testing::ValuesIn(host_backends()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(HostFiles, a_write_over_the_size_limit_is_a_full_disk_and_names_the_file) {
  auto rig = GetParam().make();
  auto file = rig->files().open_now("a", {.create = true}).value();
  const std::vector<uint8_t> content(8192, 'x');
  FileSizeLimit limit(4096);
  Heard heard;
  const Bytes parts[] = {content};
  file->write(0, parts, heard);
  ASSERT_TRUE(rig->run_until([&] { return heard.times > 0; }));
  // The part that fits is written, the rest fails: the whole write fails.
  ASSERT_FALSE(heard.result->has_value());
  EXPECT_EQ(heard.result->error().code, BOP_E_DISK_FULL);
  EXPECT_EQ(heard.result->error().detail.find("write of a: "), 0u) << heard.result->error().detail;
  EXPECT_EQ(file->write_now(4096, as_bytes("x")).error().code, BOP_E_DISK_FULL);
}

TEST_P(HostFiles, reserved_space_is_allocated_or_no_file_is_created) {
  auto rig = GetParam().make();
  auto file = rig->files().open_now("a", {.create = true, .reserve_bytes = 8192}).value();
  EXPECT_EQ(file->size(), 0u);
  const auto none =
      rig->files().open_now("b", {.create = true, .reserve_bytes = uint64_t{1} << 50});
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, BOP_E_DISK_FULL);
  EXPECT_EQ(rig->files().list_now("."), std::vector<std::string>{"a"});
}

TEST_P(HostFiles, a_device_without_space_is_a_full_disk) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
  auto backend =
      std::string(GetParam().name) == "pool" ? io::FileBackend::pool : io::FileBackend::uring;
  HostRig rig(backend, "/dev");
  auto file = rig.files().open_now("full", {}).value();
  Heard heard;
  const Bytes parts[] = {as_bytes("x")};
  file->write(0, parts, heard);
  ASSERT_TRUE(rig.run_until([&] { return heard.times > 0; }));
  EXPECT_EQ(heard.result->error().code, BOP_E_DISK_FULL);
}

TEST_P(HostFiles, a_pipe_is_refused_by_name) {
  auto rig = GetParam().make();
  auto& host = static_cast<HostRig&>(*rig);
  ASSERT_EQ(mkfifo((host.directory.path() + "/pipe").c_str(), 0600), 0);
  auto file = rig->files().open_now("pipe", {.read_only = true});
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, BOP_E_IO);
  EXPECT_EQ(file.error().detail, "open of pipe: it is a pipe, not a regular file");
}

TEST_P(HostFiles, a_file_system_without_direct_io_falls_back_to_cached) {
  auto backend =
      std::string(GetParam().name) == "pool" ? io::FileBackend::pool : io::FileBackend::uring;
  HostRig rig(backend, "/proc/self");
  auto file = rig.files().open_now("status", {.read_only = true, .direct = true});
  ASSERT_TRUE(file.has_value()) << file.error().to_string();
  EXPECT_FALSE((*file)->direct());
  EXPECT_EQ((*file)->alignment(), 1u);
  std::vector<uint8_t> into(100);
  Heard heard;
  (*file)->read(0, into, heard);
  ASSERT_TRUE(rig.run_until([&] { return heard.times > 0; }));
  EXPECT_EQ(text_of(std::span(into).first(5)), "Name:");
}

TEST_P(HostFiles, closing_waits_for_operations_and_does_not_complete_them) {
  Heard heard;
  int completed_before = 0;  // operations that a fast thread has completed
  const std::vector<uint8_t> content(1 << 20, 'x');
  {
    io::Loop loop;
    TemporaryDirectory directory;
    auto backend =
        std::string(GetParam().name) == "pool" ? io::FileBackend::pool : io::FileBackend::uring;
    auto files = io::open_file_system(loop, directory.path(), {.backend = backend}).value();
    // As when a process ends without waiting: the file is never closed.
    static auto& never_closed = *new std::vector<port::File*>;  // reachable for the leak checker
    port::File* file = files->open_now("a", {.create = true}).value().release();
    never_closed.push_back(file);
    const Bytes parts[] = {content};
    file->write(0, parts, heard);
    loop.run_turn(loop.now());
    completed_before = heard.times;
    files.reset();
    loop.run_turn(loop.now());
  }
  EXPECT_EQ(heard.times, completed_before);
}

// Stands for a process that was killed while one of its writes was in flight: the kernel keeps the
// file open until the write has landed, as this child does, which then ends.
class LateWriter {
 public:
  LateWriter(const std::string& path, std::chrono::milliseconds lands_after) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    child_ = fork();
    if (child_ == 0) {
      const int file = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
      const bool locked = file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0;
      const ssize_t told = write(ready[1], locked ? "y" : "n", 1);
      usleep(static_cast<useconds_t>(lands_after.count() * 1000));
      const bool landed = pwrite(file, "late", 4, 0) == 4;
      _exit(told == 1 && landed ? 0 : 1);
    }
    char locked = 'n';
    EXPECT_EQ(read(ready[0], &locked, 1), 1);
    EXPECT_EQ(locked, 'y');
    close(ready[0]);
    close(ready[1]);
  }
  ~LateWriter() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  LateWriter(const LateWriter&) = delete;
  LateWriter& operator=(const LateWriter&) = delete;

 private:
  pid_t child_ = -1;
};

TEST_P(HostFiles, a_file_is_opened_for_writing_when_a_dead_process_has_no_more_writes_in_flight) {
  auto rig = GetParam().make();
  auto& host = static_cast<HostRig&>(*rig);
  const LateWriter late(host.directory.path() + "/a", std::chrono::milliseconds(300));
  auto reader = rig->files().open_now("a", {.read_only = true});
  ASSERT_TRUE(reader.has_value()) << "reading alone does not wait";
  EXPECT_EQ((*reader)->size(), 0u);
  auto file = rig->files().open_now("a", {});
  ASSERT_TRUE(file.has_value()) << file.error().to_string();
  EXPECT_EQ((*file)->size(), 4u) << "opened before the late write landed";
}

TEST_P(HostFiles, an_asynchronous_open_waits_for_the_lock_as_well) {
  auto rig = GetParam().make();
  auto& host = static_cast<HostRig&>(*rig);
  const LateWriter late(host.directory.path() + "/a", std::chrono::milliseconds(300));
  std::unique_ptr<port::File> file;
  Heard opened;
  rig->files().open("a", {}, file, opened);
  ASSERT_TRUE(rig->run_until([&] { return opened.times > 0; }));
  ASSERT_TRUE(opened.result->has_value()) << opened.result->error().to_string();
  EXPECT_EQ(file->size(), 4u);
}

TEST_P(HostFiles, a_file_that_stays_locked_is_an_error_that_names_it) {
  io::Loop loop;
  TemporaryDirectory directory;
  auto backend =
      std::string(GetParam().name) == "pool" ? io::FileBackend::pool : io::FileBackend::uring;
  auto files = io::open_file_system(
                   loop, directory.path(),
                   {.backend = backend, .uring_entries = 16, .lock_patience = 50 * milliseconds})
                   .value();
  const LateWriter late(directory.path() + "/a", std::chrono::minutes(10));
  const auto file = files->open_now("a", {});
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, BOP_E_DIRECTORY_IN_USE);
  EXPECT_EQ(file.error().detail.find("a is still locked after 0."), 0u) << file.error().detail;
}

TEST_P(HostFiles, a_file_is_open_for_writing_once) {
  io::Loop loop;
  TemporaryDirectory directory;
  auto files = io::open_file_system(loop, directory.path(), {.lock_patience = 0}).value();
  auto file = files->open_now("a", {.create = true});
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(files->open_now("a", {}).error().code, BOP_E_DIRECTORY_IN_USE);
  file->reset();
  EXPECT_TRUE(files->open_now("a", {}).has_value());
}

TEST(FileSystem, a_missing_root_is_an_error) {
  io::Loop loop;
  auto files = io::open_file_system(loop, "/nonexistent/directory");
  ASSERT_FALSE(files.has_value());
  EXPECT_EQ(files.error().code, BOP_E_NOT_FOUND);
}

TEST(FileSystem, the_backend_can_be_forced) {
  io::Loop loop;
  TemporaryDirectory directory;
  auto files = io::open_file_system(loop, directory.path(), {.backend = io::FileBackend::pool});
  EXPECT_STREQ((*files)->backend(), "pool");
}

}  // namespace bop::tests
